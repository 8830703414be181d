-- name: living_tenants
-- Also those without credentials: a writer that died may have left a secret behind.
SELECT id
FROM tenants
WHERE status IN ('active', 'suspended', 'cancelled')
ORDER BY id;
