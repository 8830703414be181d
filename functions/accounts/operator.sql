-- name: operations_tenant$
SELECT tenant_id FROM users WHERE role = 'platform_admin' ORDER BY created_at, id LIMIT 1;

-- name: insert_tenant!
INSERT INTO tenants (id, company, tier, status, activated_at, created_at, updated_at)
VALUES (:tenant_id, 'Platform operations', 'enterprise', 'active', :now, :now, :now);

-- name: insert_admin^
INSERT INTO users (tenant_id, id, email, password_hash, role, email_verified_at, created_at, updated_at)
VALUES (:tenant_id, :user_id, :email, :password_hash, 'platform_admin', :now, :now, :now)
ON CONFLICT (lower(email)) DO NOTHING
RETURNING id;
