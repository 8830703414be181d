-- name: lock$
-- Two changes of one tenant's subscriptions follow one another, so that their number stays bounded.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('agent_subscriptions ' || CAST(:tenant_id AS uuid), 0)) AS text);

-- name: existing^
SELECT id, symbol, interval, agents, enabled, created_at, updated_at
FROM agent_subscriptions
WHERE tenant_id = :tenant_id AND symbol = :symbol AND interval = :interval;

-- name: count$
SELECT count(*) FROM agent_subscriptions WHERE tenant_id = :tenant_id;

-- name: insert!
INSERT INTO agent_subscriptions
    (tenant_id, id, symbol, interval, agents, enabled, created_by, created_at, updated_at)
VALUES
    (:tenant_id, :id, :symbol, :interval, :agents, :enabled, :created_by, :now, :now);

-- name: change!
UPDATE agent_subscriptions
SET agents = :agents, enabled = :enabled, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :id;

-- name: delete^
DELETE FROM agent_subscriptions
WHERE tenant_id = :tenant_id AND id = :id
RETURNING symbol, interval;

-- name: subscriptions
-- With the newest run of the schedule, if it asked about the symbol.
SELECT s.id, s.symbol, s.interval, s.agents, s.enabled, s.created_at, s.updated_at, r.id AS last_run_id,
    r.tick_at AS last_tick_at
FROM agent_subscriptions s
LEFT JOIN LATERAL (
    SELECT id, tick_at, symbols
    FROM agent_runs
    WHERE tenant_id = :tenant_id AND interval = s.interval AND tick_at IS NOT NULL
    ORDER BY tick_at DESC
    LIMIT 1
) AS r ON s.symbol = ANY(r.symbols)
WHERE s.tenant_id = :tenant_id
    AND (CAST(:one_id AS uuid) IS NULL OR s.id = :one_id)
    AND (CAST(:before_at AS timestamptz) IS NULL
        OR (s.created_at, s.id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY s.created_at DESC, s.id DESC
LIMIT :row_limit;
