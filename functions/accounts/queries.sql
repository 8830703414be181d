-- name: tenant^
SELECT t.id, t.company, t.tier, t.status, t.created_at,
    (SELECT count(*) FROM positions p WHERE p.tenant_id = t.id AND p.quantity > 0) AS open_positions
FROM tenants t WHERE t.id = :tenant_id;
