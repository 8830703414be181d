-- name: last_signals
-- Steps from each agent's newest to the next agent's: told an agent that is silent, the planner may look for it
-- among all the others have said.
WITH RECURSIVE newest AS (
    (
        SELECT agent, symbol, abstained, agent_version, created_at
        FROM agent_signals
        WHERE tenant_id = :tenant_id
        ORDER BY agent, created_at DESC
        LIMIT 1
    )
    UNION ALL
    SELECT following.agent, following.symbol, following.abstained, following.agent_version, following.created_at
    FROM newest
    CROSS JOIN LATERAL (
        SELECT agent, symbol, abstained, agent_version, created_at
        FROM agent_signals
        WHERE tenant_id = :tenant_id AND agent > newest.agent
        ORDER BY agent, created_at DESC
        LIMIT 1
    ) AS following
)
SELECT agent, symbol, abstained, agent_version, created_at
FROM newest;

-- name: pending
SELECT agent, symbol, count(*) AS pending
FROM signal_outcomes
WHERE tenant_id = :tenant_id AND status = 'pending' AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol)
GROUP BY agent, symbol;

-- name: outcomes
-- Settled ones, unless another status is asked for.
SELECT id, agent, symbol, interval, agent_version, signal, confidence, horizon_at, status, reason, signal_price,
    signal_price_at, horizon_price, horizon_price_at, price_source, forward_return, hold_band, hit, brier, regime,
    scored_at, created_at
FROM signal_outcomes
WHERE tenant_id = :tenant_id
    AND (CAST(:agent AS text) IS NULL OR agent = :agent)
    AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol)
    AND (status = CAST(:status AS text) OR (CAST(:status AS text) IS NULL AND status <> 'pending'))
    AND (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY created_at DESC, id DESC
LIMIT :row_limit;
