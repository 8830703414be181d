-- name: state^
SELECT u.email, u.password_hash, u.totp_enabled_at,
    (SELECT count(*) FROM recovery_codes c
        WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.used_at IS NULL) AS recovery_codes
FROM users u WHERE u.tenant_id = :tenant_id AND u.id = :user_id;

-- name: accept_step$
-- A code is of one step of 30 s; only a later one is accepted after it.
UPDATE users SET totp_last_step = :step
WHERE tenant_id = :tenant_id AND id = :user_id AND totp_enabled_at IS NOT NULL
    AND (totp_last_step IS NULL OR totp_last_step < :step)
RETURNING id;

-- name: use_recovery_code$
UPDATE recovery_codes SET used_at = :now
WHERE tenant_id = :tenant_id AND user_id = :user_id AND code_hash = :code_hash AND used_at IS NULL
RETURNING id;

-- name: enable$
UPDATE users SET totp_enabled_at = :now, totp_last_step = :step, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :user_id AND totp_enabled_at IS NULL
RETURNING id;

-- name: disable$
UPDATE users SET totp_enabled_at = NULL, totp_last_step = NULL, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :user_id AND totp_enabled_at IS NOT NULL
RETURNING id;

-- name: forget_recovery_codes!
DELETE FROM recovery_codes WHERE tenant_id = :tenant_id AND user_id = :user_id;

-- name: insert_recovery_code*!
INSERT INTO recovery_codes (tenant_id, id, user_id, code_hash, created_at)
VALUES (:tenant_id, :id, :user_id, :code_hash, :now);
