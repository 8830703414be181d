-- name: page
SELECT id, email, role, status, email_verified_at, totp_enabled_at IS NOT NULL AS totp_enabled, last_login_at, created_at
FROM users
WHERE tenant_id = :tenant_id AND (CAST(:after AS uuid) IS NULL OR id > :after)
ORDER BY id LIMIT :limit;

-- name: user^
SELECT id, email, role, status, email_verified_at, totp_enabled_at IS NOT NULL AS totp_enabled, last_login_at, created_at
FROM users WHERE tenant_id = :tenant_id AND id = :user_id;

-- name: count$
SELECT count(*) FROM users WHERE tenant_id = :tenant_id;

-- name: invite^
-- No password fits '!'.
INSERT INTO users (tenant_id, id, email, password_hash, role, status, created_at, updated_at)
VALUES (:tenant_id, :user_id, :email, '!', :role, 'invited', :now, :now)
ON CONFLICT (lower(email)) DO NOTHING
RETURNING id, email, role, status, email_verified_at, false AS totp_enabled, last_login_at, created_at;

-- name: lock_owners$
-- Changes of who owns the tenant follow one another, or two owners could remove each other.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('owners ' || CAST(:tenant_id AS uuid), 0)) AS text);

-- name: other_owners$
SELECT count(*) FROM users
WHERE tenant_id = :tenant_id AND id <> :user_id AND role = 'owner' AND status = 'active';

-- name: change^
UPDATE users SET role = :role, status = :status, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :user_id
RETURNING id, email, role, status, email_verified_at, totp_enabled_at IS NOT NULL AS totp_enabled, last_login_at, created_at;

-- name: remove!
DELETE FROM users WHERE tenant_id = :tenant_id AND id = :user_id;
