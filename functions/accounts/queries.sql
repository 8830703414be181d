-- name: tenant^
SELECT t.id, t.company, t.tier, t.status, t.created_at,
    (SELECT c.limit_overrides FROM tenant_configs c WHERE c.tenant_id = t.id) AS limit_overrides,
    (SELECT count(*) FROM positions p WHERE p.tenant_id = t.id AND p.quantity > 0) AS open_positions
FROM tenants t WHERE t.id = :tenant_id;
