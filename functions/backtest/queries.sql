-- name: take^
-- Begins or takes over: a run that waits, or whose worker has been silent. Null when it is neither.
UPDATE backtest_runs
SET status = 'running', attempt = attempt + 1, progress = 0, heartbeat_at = :now,
    started_at = coalesce(started_at, :now)
WHERE tenant_id = :tenant_id AND id = :id
    AND (status = 'waiting' OR (status = 'running' AND heartbeat_at <= :silent_since))
RETURNING attempt, request;

-- name: status$
SELECT status FROM backtest_runs WHERE tenant_id = :tenant_id AND id = :id;

-- name: deadline$
SELECT deadline_at FROM backtest_runs WHERE tenant_id = :tenant_id AND id = :id;

-- name: beat$
UPDATE backtest_runs
SET progress = greatest(progress, :progress), heartbeat_at = :now
WHERE tenant_id = :tenant_id AND id = :id AND attempt = :attempt AND status = 'running'
RETURNING id;

-- name: conclude^
UPDATE backtest_runs
SET status = :status, reason = :reason, headline = :headline, result = :result, picture = :picture,
    progress = CASE WHEN :status = 'done' THEN 1 ELSE progress END, heartbeat_at = :now, finished_at = :now
WHERE tenant_id = :tenant_id AND id = :id AND attempt = :attempt AND status = 'running'
RETURNING agent, symbol, interval;
