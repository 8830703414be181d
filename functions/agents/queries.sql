-- name: lock_configs$
-- Two changes of one tenant's settings follow one another, so that limits hold for both together.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('agent_configs ' || CAST(:tenant_id AS uuid), 0)) AS text);

-- name: configs
-- What is in force.
SELECT DISTINCT ON (agent) agent, version, enabled, weight, parameters, created_at
FROM agent_configs
WHERE tenant_id = :tenant_id
ORDER BY agent, version DESC;

-- name: insert_config!
INSERT INTO agent_configs
    (tenant_id, id, agent, version, enabled, weight, parameters, created_by, created_at)
VALUES
    (:tenant_id, :id, :agent, :version, :enabled, :weight, :parameters, :created_by, :created_at);

-- name: run^
SELECT id, symbols, agents, interval, origin, tick_at, status, reason, deadline_at, finished_at, created_at
FROM agent_runs
WHERE tenant_id = :tenant_id AND id = :run_id;

-- name: runs
SELECT id, symbols, agents, interval, origin, tick_at, status, reason, deadline_at, finished_at, created_at
FROM agent_runs
WHERE tenant_id = :tenant_id
    AND (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY created_at DESC, id DESC
LIMIT :row_limit;

-- name: tasks
SELECT run_id, agent, symbol, status, reason, started_at, finished_at
FROM agent_run_tasks
WHERE tenant_id = :tenant_id AND run_id = ANY(CAST(:run_ids AS uuid[]))
ORDER BY run_id;

-- name: signals
SELECT id, run_id, agent, symbol, interval, abstained, abstain_reason, signal, score, confidence, reasons,
    inputs, agent_version, config_version, evidence_digest, horizon_at, created_at, expires_at
FROM agent_signals
WHERE tenant_id = :tenant_id
    AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol)
    AND (CAST(:agent AS text) IS NULL OR agent = :agent)
    AND (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY created_at DESC, id DESC
LIMIT :row_limit;

-- name: consensus
SELECT id, run_id, symbol, signal, score, quorum, reason, contributions, inputs, created_at
FROM consensus_signals
WHERE tenant_id = :tenant_id
    AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol)
    AND (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY created_at DESC, id DESC
LIMIT :row_limit;
