"""Step of provisioning: the rows a tenant begins with."""
