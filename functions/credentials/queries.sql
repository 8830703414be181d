-- name: insert_credential^
INSERT INTO tenant_credentials (tenant_id, id, exchange, label, key_hint, vault_version, permissions, ip_restricted,
    status, checked_at, created_at, updated_at)
VALUES (:tenant_id, :credential_id, :exchange, :label, :key_hint, :version, :permissions, :ip_restricted,
    'valid', :now, :now, :now)
RETURNING id, exchange, label, key_hint, vault_version, permissions, ip_restricted, status, failures, failure, retired,
    checked_at, rotated_at, created_at, updated_at;

-- name: rotate_credential^
UPDATE tenant_credentials
SET vault_version = :version, retired = :retired, label = coalesce(:label, label), key_hint = :key_hint,
    permissions = :permissions, ip_restricted = :ip_restricted, status = 'valid', failures = 0, failure = NULL,
    checked_at = :now, rotated_at = :now, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :credential_id
RETURNING id, exchange, label, key_hint, vault_version, permissions, ip_restricted, status, failures, failure, retired,
    checked_at, rotated_at, created_at, updated_at;

-- name: revoke_credential!
UPDATE tenant_credentials SET status = 'revoked', updated_at = :now
WHERE tenant_id = :tenant_id AND id = :credential_id;

-- name: open_orders$
SELECT count(*)
FROM trades
WHERE tenant_id = :tenant_id AND exchange = :exchange
    AND status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown');
