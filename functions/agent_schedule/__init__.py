"""Begins the runs that tenants have subscribed to, each time a bar closes."""
