-- name: issue!
-- The newest of a kind is the only one.
INSERT INTO one_time_tokens (tenant_id, id, user_id, purpose, token_hash, email, created_at, expires_at)
VALUES (:tenant_id, :id, :user_id, :purpose, :token_hash, :email, :now, :expires_at)
ON CONFLICT (tenant_id, user_id, purpose) WHERE used_at IS NULL DO UPDATE SET
    token_hash = excluded.token_hash, email = excluded.email,
    created_at = excluded.created_at, expires_at = excluded.expires_at;

-- name: forget_expired!
DELETE FROM one_time_tokens
WHERE tenant_id = :tenant_id AND user_id = :user_id AND expires_at < :now;

-- name: is_live$
SELECT EXISTS (
    SELECT FROM one_time_tokens
    WHERE tenant_id = :tenant_id AND token_hash = :token_hash AND purpose = ANY(:purposes)
        AND used_at IS NULL AND expires_at > :now);

-- name: use^
UPDATE one_time_tokens o SET used_at = :now
FROM users u, tenants t
WHERE o.tenant_id = :tenant_id AND o.token_hash = :token_hash AND o.purpose = ANY(:purposes)
    AND o.used_at IS NULL AND o.expires_at > :now
    AND u.tenant_id = o.tenant_id AND u.id = o.user_id AND u.status <> 'disabled'
    AND lower(u.email) = lower(o.email)
    AND t.id = o.tenant_id AND t.status <> 'deleted'
RETURNING o.user_id, o.purpose, u.email;

-- name: withdraw!
DELETE FROM one_time_tokens
WHERE tenant_id = :tenant_id AND user_id = :user_id AND purpose = ANY(:purposes) AND used_at IS NULL;
