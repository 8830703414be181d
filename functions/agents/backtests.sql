-- name: lock$
-- Two requests of one tenant follow one another, so that the limit holds for both together.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('backtest_runs ' || CAST(:tenant_id AS uuid), 0)) AS text);

-- name: unfinished$
-- One that is late has failed, whether or not somebody has written it down.
SELECT count(*)
FROM backtest_runs
WHERE tenant_id = :tenant_id AND (
        (status = 'waiting' AND deadline_at > :now)
        OR (status = 'running' AND deadline_at + CAST(:last_ending AS interval) > :now)
    );

-- name: trim!
-- The oldest ended ones beyond those that are kept.
DELETE FROM backtest_runs
WHERE tenant_id = :tenant_id AND id IN (
    SELECT id FROM backtest_runs
    WHERE tenant_id = :tenant_id AND status NOT IN ('waiting', 'running')
    ORDER BY created_at DESC, id DESC
    OFFSET :kept
);

-- name: insert!
INSERT INTO backtest_runs
    (tenant_id, id, agent, symbol, interval, request, created_by, deadline_at, created_at)
VALUES
    (:tenant_id, :id, :agent, :symbol, :interval, :request, :created_by, :deadline_at, :created_at);

-- name: runs
SELECT id, agent, symbol, interval, status, reason, progress, headline, deadline_at, started_at, finished_at,
    created_at
FROM backtest_runs
WHERE tenant_id = :tenant_id
    AND (CAST(:before_at AS timestamptz) IS NULL OR (created_at, id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY created_at DESC, id DESC
LIMIT :row_limit;

-- name: run^
SELECT id, agent, symbol, interval, request, status, reason, progress, headline, result, deadline_at, started_at,
    finished_at, created_at
FROM backtest_runs
WHERE tenant_id = :tenant_id AND id = :id;

-- name: picture^
SELECT status, picture FROM backtest_runs WHERE tenant_id = :tenant_id AND id = :id;

-- name: cancel^
UPDATE backtest_runs
SET status = 'cancelled', finished_at = :now
WHERE tenant_id = :tenant_id AND id = :id AND status IN ('waiting', 'running')
RETURNING id, agent, symbol, interval, status, reason, progress, headline, deadline_at, started_at, finished_at,
    created_at;
