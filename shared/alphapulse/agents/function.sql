-- name: begin^
-- Takes the task up, also again after a crash; null as status when there is no task. The settings are those of
-- this moment: a change that comes later is for the next run.
WITH task AS (
    SELECT id, status FROM agent_run_tasks
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND agent = :agent AND symbol = :symbol
    FOR UPDATE
), started AS (
    UPDATE agent_run_tasks t
    SET status = 'running', started_at = :now
    FROM task
    WHERE t.tenant_id = :tenant_id AND t.id = task.id AND task.status = 'waiting'
        AND CAST(:now AS timestamptz) < CAST(:deadline_at AS timestamptz)
), config AS (
    SELECT version, parameters FROM agent_configs
    WHERE tenant_id = :tenant_id AND agent = :agent
    ORDER BY version DESC
    LIMIT 1
)
SELECT
    (SELECT status FROM task) AS status,
    (SELECT version FROM config) AS version,
    (SELECT parameters FROM config) AS parameters;

-- name: store^
-- Returns nothing, and ends no task, when the task has ended meanwhile or the agent has spoken on the symbol in
-- this run.
WITH task AS (
    SELECT id, status FROM agent_run_tasks
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND agent = :agent AND symbol = :symbol
    FOR UPDATE
), stored AS (
    INSERT INTO agent_signals
        (tenant_id, id, run_id, agent, symbol, interval, abstained, abstain_reason, signal, score, confidence,
        reasons, inputs, agent_version, config_version, parameters, evidence_digest, horizon_at, created_at,
        expires_at)
    SELECT
        :tenant_id, :id, :run_id, :agent, :symbol, :interval, :abstained, :abstain_reason, :signal, :score,
        :confidence, :reasons, :inputs, :agent_version, :config_version, :parameters, :evidence_digest,
        :horizon_at, :created_at, :expires_at
    WHERE NOT EXISTS (SELECT FROM task WHERE status IN ('done', 'abstained', 'failed'))
    ON CONFLICT (tenant_id, run_id, agent, symbol) DO NOTHING
    RETURNING id
), ended AS (
    UPDATE agent_run_tasks t
    SET status = :status, reason = :abstain_reason, started_at = coalesce(t.started_at, :created_at),
        finished_at = :finished_at
    FROM task
    WHERE t.tenant_id = :tenant_id AND t.id = task.id AND EXISTS (SELECT FROM stored)
)
SELECT id FROM stored;
