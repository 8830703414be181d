-- name: lock_run^
-- Signals of one run are weighed one after the other, so that of two last ones only one is the last.
SELECT id, status, symbols, deadline_at
FROM agent_runs
WHERE tenant_id = :tenant_id AND id = :run_id
FOR UPDATE;

-- name: others_to_speak$
SELECT EXISTS (
    SELECT FROM agent_run_tasks
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND symbol = :symbol AND status IN ('waiting', 'running')
);

-- name: tasks
SELECT agent, symbol, status, reason
FROM agent_run_tasks
WHERE tenant_id = :tenant_id AND run_id = :run_id
ORDER BY symbol, agent;

-- name: concluded_symbols
SELECT symbol FROM consensus_signals
WHERE tenant_id = :tenant_id AND run_id = :run_id;

-- name: spoken
SELECT id, agent, symbol, abstained, abstain_reason, signal, score, confidence, agent_version, created_at
FROM agent_signals
WHERE tenant_id = :tenant_id AND run_id = :run_id AND symbol = :symbol
ORDER BY agent;

-- name: weights
-- Null for an agent whose weight the tenant left as it is.
SELECT DISTINCT ON (agent) agent, weight
FROM agent_configs
WHERE tenant_id = :tenant_id
ORDER BY agent, version DESC;

-- name: insert_consensus^
-- Returns nothing when there is one already.
INSERT INTO consensus_signals
    (tenant_id, id, run_id, symbol, signal, score, quorum, weight_present, reason, contributions, inputs,
    created_at)
VALUES
    (:tenant_id, :id, :run_id, :symbol, :signal, :score, :quorum, :weight_present, :reason, :contributions,
    :inputs, :created_at)
ON CONFLICT (tenant_id, run_id, symbol) DO NOTHING
RETURNING id;

-- name: fail_unfinished!
UPDATE agent_run_tasks
SET status = 'failed', reason = :reason, finished_at = :now
WHERE tenant_id = :tenant_id AND run_id = :run_id AND status IN ('waiting', 'running');

-- name: close_run!
UPDATE agent_runs
SET status = :status, reason = :reason, finished_at = :now
WHERE tenant_id = :tenant_id AND id = :run_id AND status = 'running';

-- name: overdue_runs
-- Of all tenants, with the platform's role; in order, so that one that cannot be concluded hides no other.
SELECT tenant_id, id, deadline_at
FROM agent_runs
WHERE status = 'running' AND deadline_at < :now
    AND (deadline_at, id) > (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid))
ORDER BY deadline_at, id
LIMIT :row_limit;
