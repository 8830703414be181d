"""Undoes a failed provisioning, deletes tenants, and sweeps both."""
