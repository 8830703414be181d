"""Customers and subscriptions of the payment service."""
