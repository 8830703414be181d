"""The embedded servers: real PostgreSQL and Redis out of PyPI wheels."""
