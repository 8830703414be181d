"""Keeps the counts of tenants in the cache true."""
