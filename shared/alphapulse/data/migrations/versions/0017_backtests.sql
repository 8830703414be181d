-- Backtests.

CREATE TABLE backtest_runs (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    agent text NOT NULL CHECK (agent IN
        ('technical', 'fundamental', 'sentiment', 'value', 'activist', 'buffett')),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    interval text NOT NULL CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    -- Everything that was asked for, the tenant's settings of the agent included.
    request jsonb NOT NULL CHECK (jsonb_typeof(request) = 'object'),
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN
        ('waiting', 'running', 'done', 'failed', 'cancelled')),
    reason text,
    progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    -- Rises with each taking up; a worker whose number is not the last one has lost the run.
    attempt integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    heartbeat_at timestamptz,
    headline jsonb CHECK (jsonb_typeof(headline) = 'object'),
    result jsonb CHECK (jsonb_typeof(result) = 'object'),
    picture bytea,
    created_by uuid,
    deadline_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (deadline_at > created_at),
    CHECK (status <> 'failed' OR reason IS NOT NULL),
    CHECK (status <> 'done' OR (headline IS NOT NULL AND result IS NOT NULL))
);
CREATE INDEX backtest_runs_created ON backtest_runs (tenant_id, created_at DESC);
CREATE INDEX backtest_runs_unfinished ON backtest_runs (tenant_id) WHERE status IN ('waiting', 'running');
CALL isolate('backtest_runs');
GRANT SELECT ON backtest_runs TO alphapulse_readonly;
-- Old ones are removed when there are too many.
GRANT SELECT, INSERT, UPDATE, DELETE ON backtest_runs TO alphapulse_app;
