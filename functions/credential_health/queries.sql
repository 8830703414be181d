-- name: living_tenants
-- Also those without credentials: a writer that died may have left a secret behind.
SELECT id
FROM tenants
WHERE status IN ('active', 'suspended', 'cancelled')
ORDER BY id;

-- name: is_living$
SELECT status IN ('active', 'suspended', 'cancelled') FROM tenants WHERE id = :tenant_id;
