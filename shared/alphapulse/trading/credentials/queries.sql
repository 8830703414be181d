-- name: lock_credential$
-- One change of a tenant's key to an exchange at a time; in a statement of its own, as lock_account is.
SELECT pg_advisory_xact_lock(hashtextextended('credential ' || CAST(:tenant_id AS uuid) || ' ' || :exchange, 0));

-- name: credential^
SELECT id, exchange, label, key_hint, vault_version, permissions, ip_restricted, status, failures, failure, retired,
    checked_at, rotated_at, created_at, updated_at
FROM tenant_credentials
WHERE tenant_id = :tenant_id AND id = :credential_id;

-- name: credential_of_exchange^
SELECT id, exchange, label, key_hint, vault_version, permissions, ip_restricted, status, failures, failure, retired,
    checked_at, rotated_at, created_at, updated_at
FROM tenant_credentials
WHERE tenant_id = :tenant_id AND exchange = :exchange;

-- name: credentials
SELECT id, exchange, label, key_hint, vault_version, permissions, ip_restricted, status, failures, failure, retired,
    checked_at, rotated_at, created_at, updated_at
FROM tenant_credentials
WHERE tenant_id = :tenant_id
ORDER BY exchange;

-- name: mark_valid^
-- Nothing when the key was rotated or revoked while it was being checked.
UPDATE tenant_credentials
SET status = 'valid', permissions = :permissions, ip_restricted = :ip_restricted, failures = 0, failure = NULL,
    checked_at = :now, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :credential_id AND vault_version = :version AND status <> 'revoked'
RETURNING id, exchange, label, key_hint, vault_version, permissions, ip_restricted, status, failures, failure, retired,
    checked_at, rotated_at, created_at, updated_at;

-- name: status_before_change$
-- Checks at once follow one another from here on.
SELECT status FROM tenant_credentials WHERE tenant_id = :tenant_id AND id = :credential_id FOR UPDATE;

-- name: mark_failure^
-- Nothing when the key was rotated or revoked while it was being checked.
UPDATE tenant_credentials
SET failures = failures + 1, failure = :failure, checked_at = :now, updated_at = :now,
    status = CASE WHEN failures + 1 >= CAST(:limit AS integer) THEN 'failed' ELSE status END
WHERE tenant_id = :tenant_id AND id = :credential_id AND vault_version = :version AND status <> 'revoked'
RETURNING id, exchange, label, key_hint, vault_version, permissions, ip_restricted, status, failures, failure, retired,
    checked_at, rotated_at, created_at, updated_at;

-- name: set_retired!
UPDATE tenant_credentials SET retired = :retired WHERE tenant_id = :tenant_id AND id = :credential_id;

-- name: delete_revoked$
DELETE FROM tenant_credentials WHERE tenant_id = :tenant_id AND id = :credential_id AND status = 'revoked'
RETURNING id;
