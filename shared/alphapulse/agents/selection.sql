-- name: switches
-- Of the agents whose settings the tenant has changed.
SELECT DISTINCT ON (agent) agent, enabled
FROM agent_configs
WHERE tenant_id = :tenant_id
ORDER BY agent, version DESC;
