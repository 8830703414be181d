"""Step of provisioning: the proof that all four stores serve the tenant."""
