-- name: login_of_email^
SELECT u.tenant_id, u.id, u.password_hash, u.role, t.tier
FROM users u JOIN tenants t ON t.id = u.tenant_id
WHERE lower(u.email) = lower(:email) AND u.status = 'active' AND t.status <> 'deleted';

-- name: insert_session!
INSERT INTO sessions (tenant_id, id, user_id, family_id, token_hash, created_at, expires_at)
VALUES (:tenant_id, :session_id, :user_id, :family_id, :token_hash, :now, :expires_at);

-- name: note_login!
UPDATE users SET last_login_at = :now WHERE tenant_id = :tenant_id AND id = :user_id;

-- name: lock_family$
-- Uses of one login follow one another: a token that is being issued must not escape a revocation.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('session family ' || family_id, 0)) AS text)
FROM sessions WHERE token_hash = :token_hash;

-- name: session^
SELECT s.tenant_id, s.id, s.user_id, s.family_id, s.expires_at, s.rotated_at, s.revoked_at, u.role, t.tier
FROM sessions s
JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
JOIN tenants t ON t.id = s.tenant_id
WHERE s.token_hash = :token_hash AND u.status = 'active' AND t.status <> 'deleted';

-- name: rotate_session!
UPDATE sessions SET rotated_at = :now WHERE tenant_id = :tenant_id AND id = :session_id;

-- name: revoke_family!
UPDATE sessions SET revoked_at = :now
WHERE tenant_id = :tenant_id AND family_id = :family_id AND revoked_at IS NULL;

-- name: tenant^
SELECT t.id, t.company, t.tier, t.status, t.created_at,
    (SELECT count(*) FROM positions p WHERE p.tenant_id = t.id AND p.quantity > 0) AS open_positions
FROM tenants t WHERE t.id = :tenant_id;
