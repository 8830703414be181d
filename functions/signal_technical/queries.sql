-- name: start_task^
-- Returns nothing when there is no such task, or when it has ended.
UPDATE agent_run_tasks
SET status = 'running', started_at = coalesce(started_at, :now)
WHERE tenant_id = :tenant_id AND run_id = :run_id AND agent = :agent AND symbol = :symbol
    AND status IN ('waiting', 'running')
RETURNING id;

-- name: task_status$
SELECT status FROM agent_run_tasks
WHERE tenant_id = :tenant_id AND run_id = :run_id AND agent = :agent AND symbol = :symbol;

-- name: end_task!
UPDATE agent_run_tasks
SET status = :status, reason = :reason, finished_at = :now
WHERE tenant_id = :tenant_id AND run_id = :run_id AND agent = :agent AND symbol = :symbol
    AND status = 'running';

-- name: parameters$
SELECT parameters FROM agent_configs
WHERE tenant_id = :tenant_id AND agent = :agent
ORDER BY version DESC
LIMIT 1;

-- name: insert_signal^
-- Returns nothing when the agent has spoken on the symbol in this run.
INSERT INTO agent_signals
    (tenant_id, id, run_id, agent, symbol, interval, abstained, abstain_reason, signal, score, confidence,
    reasons, inputs, agent_version, created_at, expires_at)
VALUES
    (:tenant_id, :id, :run_id, :agent, :symbol, :interval, :abstained, :abstain_reason, :signal, :score,
    :confidence, :reasons, :inputs, :agent_version, :created_at, :expires_at)
ON CONFLICT (tenant_id, run_id, agent, symbol) DO NOTHING
RETURNING id;
