-- name: tenants
SELECT id FROM tenants ORDER BY id;
