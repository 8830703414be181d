-- name: usable^
-- A key is never more than its user is now.
SELECT k.id, k.user_id, k.key_hash, k.role, u.role AS user_role, k.scopes, k.expires_at, k.last_used_at, t.tier
FROM api_keys k
JOIN users u ON u.tenant_id = k.tenant_id AND u.id = k.user_id
JOIN tenants t ON t.id = k.tenant_id
WHERE k.tenant_id = :tenant_id AND k.key_hash = :key_hash AND k.revoked_at IS NULL
    AND u.status = 'active' AND t.status <> 'deleted';

-- name: note_use!
UPDATE api_keys SET last_used_at = :now
WHERE tenant_id = :tenant_id AND id = :id AND (last_used_at IS NULL OR last_used_at < :stale);
