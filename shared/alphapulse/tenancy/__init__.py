"""Tenant-scoped access to PostgreSQL, Redis and secrets, and the principals that hold it."""
