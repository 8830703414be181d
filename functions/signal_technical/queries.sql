-- name: take^
-- The task's lock keeps the sweep from failing it while the signal is made; null when there is no task.
WITH task AS (
    SELECT status FROM agent_run_tasks
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND agent = :agent AND symbol = :symbol
    FOR UPDATE
)
SELECT
    (SELECT status FROM task) AS status,
    (
        SELECT parameters FROM agent_configs
        WHERE tenant_id = :tenant_id AND agent = :agent
        ORDER BY version DESC
        LIMIT 1
    ) AS parameters;

-- name: store^
-- Returns nothing, and ends no task, when the agent has spoken on the symbol in this run.
WITH stored AS (
    INSERT INTO agent_signals
        (tenant_id, id, run_id, agent, symbol, interval, abstained, abstain_reason, signal, score, confidence,
        reasons, inputs, agent_version, created_at, expires_at)
    VALUES
        (:tenant_id, :id, :run_id, :agent, :symbol, :interval, :abstained, :abstain_reason, :signal, :score,
        :confidence, :reasons, :inputs, :agent_version, :created_at, :expires_at)
    ON CONFLICT (tenant_id, run_id, agent, symbol) DO NOTHING
    RETURNING id
), ended AS (
    UPDATE agent_run_tasks
    SET status = :status, reason = :abstain_reason, started_at = coalesce(started_at, :created_at),
        finished_at = :finished_at
    WHERE tenant_id = :tenant_id AND run_id = :run_id AND agent = :agent AND symbol = :symbol
        AND EXISTS (SELECT FROM stored)
)
SELECT id FROM stored;
