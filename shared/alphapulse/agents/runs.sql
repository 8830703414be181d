-- name: insert_run!
INSERT INTO agent_runs
    (tenant_id, id, symbols, agents, interval, created_by, deadline_at, created_at)
VALUES
    (:tenant_id, :id, :symbols, :agents, :interval, :created_by, :deadline_at, :created_at);

-- name: insert_scheduled_run$
-- Returns nothing when the tenant has a run for this close.
INSERT INTO agent_runs
    (tenant_id, id, symbols, agents, interval, created_by, deadline_at, created_at, origin, tick_at)
VALUES
    (:tenant_id, :id, :symbols, :agents, :interval, :created_by, :deadline_at, :created_at, 'schedule', :tick_at)
ON CONFLICT (tenant_id, interval, tick_at) WHERE tick_at IS NOT NULL DO NOTHING
RETURNING id;

-- name: run_at_tick$
SELECT id FROM agent_runs
WHERE tenant_id = :tenant_id AND interval = :interval AND tick_at = :tick_at;

-- name: insert_tasks!
INSERT INTO agent_run_tasks (tenant_id, id, run_id, agent, symbol, created_at)
SELECT :tenant_id, t.id, :run_id, t.agent, t.symbol, :created_at
FROM unnest(CAST(:ids AS uuid[]), CAST(:agents AS text[]), CAST(:symbols AS text[])) AS t (id, agent, symbol);
