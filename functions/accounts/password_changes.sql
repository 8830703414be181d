-- name: change$
-- Only while the password is still the one that was shown.
UPDATE users SET password_hash = :password_hash, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :user_id AND password_hash = :shown
RETURNING id;

-- name: set_password$
-- The token came by mail, so the address is the user's; an invited user has arrived. Who was disabled since the
-- token was judged stays so.
UPDATE users SET password_hash = :password_hash, status = 'active',
    email_verified_at = coalesce(email_verified_at, :now), updated_at = :now
WHERE tenant_id = :tenant_id AND id = :user_id AND status <> 'disabled'
RETURNING id;

-- name: user_of_email^
SELECT u.tenant_id, u.id, u.email
FROM users u JOIN tenants t ON t.id = u.tenant_id
WHERE lower(u.email) = lower(:email) AND u.status = 'active' AND t.status <> 'deleted';

-- name: verify_email!
UPDATE users SET email_verified_at = coalesce(email_verified_at, :now), updated_at = :now
WHERE tenant_id = :tenant_id AND id = :user_id;

-- name: unverified^
SELECT email FROM users WHERE tenant_id = :tenant_id AND id = :user_id AND email_verified_at IS NULL;
