"""Step of provisioning: the tenant's namespace in the cache."""
