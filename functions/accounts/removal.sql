-- name: password_hash$
SELECT password_hash FROM users WHERE tenant_id = :tenant_id AND id = :user_id AND status = 'active';
