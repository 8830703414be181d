-- name: login_facts^
-- All that admission needs of a login. Row-level security and the predicate both name the tenant.
SELECT t.status, t.tier, c.limit_overrides, u.role,
    u.status = 'active'
        AND EXISTS (SELECT FROM sessions s
            WHERE s.tenant_id = :tenant_id AND s.family_id = :session_id AND s.user_id = :user_id
                AND s.revoked_at IS NULL AND s.expires_at > :now) AS live
FROM tenants t
LEFT JOIN tenant_configs c ON c.tenant_id = :tenant_id
LEFT JOIN users u ON u.tenant_id = :tenant_id AND u.id = :user_id
WHERE t.id = :tenant_id;

-- name: api_key_facts^
-- A key may do what both itself and its user may.
SELECT t.status, t.tier, c.limit_overrides,
    CASE WHEN k.role = 'viewer' OR u.role = 'viewer' THEN 'viewer'
        WHEN k.role = 'trader' OR u.role = 'trader' THEN 'trader' ELSE k.role END AS role,
    u.status = 'active' AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now) AS live
FROM tenants t
LEFT JOIN tenant_configs c ON c.tenant_id = :tenant_id
LEFT JOIN api_keys k ON k.tenant_id = :tenant_id AND k.id = :api_key_id
LEFT JOIN users u ON u.tenant_id = :tenant_id AND u.id = k.user_id
WHERE t.id = :tenant_id;

-- name: tenant_facts^
SELECT t.status, t.tier, c.limit_overrides
FROM tenants t
LEFT JOIN tenant_configs c ON c.tenant_id = :tenant_id
WHERE t.id = :tenant_id;
