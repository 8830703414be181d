-- name: login_of_email^
SELECT u.tenant_id, u.id, u.email, u.password_hash, u.role, u.totp_enabled_at, t.tier
FROM users u JOIN tenants t ON t.id = u.tenant_id
WHERE lower(u.email) = lower(:email) AND u.status = 'active' AND t.status <> 'deleted';

-- name: note_login$
-- Only while the password is still the one that was shown: a change of it ends all logins, this one too.
UPDATE users SET last_login_at = :now, password_hash = coalesce(:rehashed, password_hash)
WHERE tenant_id = :tenant_id AND id = :user_id AND password_hash = :password_hash AND status = 'active'
RETURNING id;
