"""Stores, rotates, checks and removes a tenant's keys to exchanges."""
