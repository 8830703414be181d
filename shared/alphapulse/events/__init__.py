"""Event types, their JSON Schemas, and the CloudEvents codec."""
