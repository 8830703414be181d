"""Step of provisioning: the customer at the payment service."""
