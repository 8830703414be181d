"""PostgreSQL: schema and migrations, query files, outbox, idempotency."""
