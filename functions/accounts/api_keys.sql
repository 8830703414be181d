-- name: page
SELECT id, user_id, name, prefix, role, scopes, created_at, expires_at, last_used_at
FROM api_keys
WHERE tenant_id = :tenant_id AND revoked_at IS NULL AND (:everybody OR user_id = :user_id)
    AND (CAST(:before AS uuid) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit;

-- name: count$
SELECT count(*) FROM api_keys
WHERE tenant_id = :tenant_id AND user_id = :user_id AND revoked_at IS NULL AND expires_at > :now;

-- name: insert!
INSERT INTO api_keys (tenant_id, id, user_id, name, prefix, key_hash, role, scopes, created_at, expires_at)
VALUES (:tenant_id, :id, :user_id, :name, :prefix, :key_hash, :role, :scopes, :now, :expires_at);

-- name: revoke$
UPDATE api_keys SET revoked_at = :now
WHERE tenant_id = :tenant_id AND id = :id AND revoked_at IS NULL AND (:everybody OR user_id = :user_id)
RETURNING id;
