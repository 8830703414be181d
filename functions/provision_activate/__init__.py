"""Last step of provisioning: the tenant becomes active."""
