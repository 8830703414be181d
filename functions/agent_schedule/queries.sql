-- name: subscribed_tenants
-- The platform sees of subscriptions whose they are and which bars they wait for, and nothing else.
SELECT DISTINCT tenant_id
FROM agent_subscriptions
WHERE enabled AND interval = :interval AND tenant_id > CAST(:after AS uuid)
ORDER BY tenant_id
LIMIT :row_limit;

-- name: subscriptions
SELECT symbol, agents
FROM agent_subscriptions
WHERE tenant_id = :tenant_id AND interval = :interval AND enabled
ORDER BY symbol;
