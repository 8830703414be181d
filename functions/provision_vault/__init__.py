"""Step of provisioning: the tenant's policy in Vault."""
