"""Connection pools, schema, migrations, outbox, idempotency."""
