"""Sign-up, login, tokens and tenants."""
