-- Agent configuration, runs, signals, consensus.

-- Every change is a new version; the highest is in force, the others tell what a signal was made with.
CREATE TABLE agent_configs (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    agent text NOT NULL CHECK (agent IN
        ('technical', 'fundamental', 'sentiment', 'value', 'activist', 'buffett')),
    version integer NOT NULL CHECK (version > 0),
    enabled boolean NOT NULL DEFAULT true,
    -- Null: the product's default weight.
    weight numeric(9,6) CHECK (weight BETWEEN 0 AND 1),
    parameters jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(parameters) = 'object'),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, agent, version)
);
CREATE INDEX agent_configs_created ON agent_configs (tenant_id, created_at DESC);
CALL isolate('agent_configs');
GRANT SELECT ON agent_configs TO alphapulse_readonly;
GRANT SELECT, INSERT ON agent_configs TO alphapulse_app;
GRANT SELECT, INSERT, DELETE ON agent_configs TO alphapulse_platform;

CREATE TABLE agent_runs (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    symbols text[] NOT NULL CHECK (cardinality(symbols) > 0),
    agents text[] NOT NULL CHECK (cardinality(agents) > 0),
    interval text NOT NULL DEFAULT '1h' CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    origin text NOT NULL DEFAULT 'user' CHECK (origin IN ('user', 'schedule')),
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed')),
    reason text,
    created_by uuid,
    deadline_at timestamptz NOT NULL,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (deadline_at > created_at)
);
CREATE INDEX agent_runs_created ON agent_runs (tenant_id, created_at DESC);
CREATE INDEX agent_runs_running ON agent_runs (tenant_id, deadline_at) WHERE status = 'running';
CALL isolate('agent_runs');
-- The sweep of overdue runs finds their tenants; what it does with them is done as the tenant.
CREATE POLICY platform_sweep ON agent_runs FOR SELECT TO alphapulse_platform USING (status = 'running');
GRANT SELECT ON agent_runs TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON agent_runs TO alphapulse_app;
GRANT SELECT (tenant_id, id, status, deadline_at) ON agent_runs TO alphapulse_platform;

CREATE TABLE agent_run_tasks (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    run_id uuid NOT NULL,
    agent text NOT NULL CHECK (agent IN
        ('technical', 'fundamental', 'sentiment', 'value', 'activist', 'buffett')),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN
        ('waiting', 'running', 'done', 'abstained', 'failed')),
    reason text,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, run_id, agent, symbol),
    FOREIGN KEY (tenant_id, run_id) REFERENCES agent_runs ON DELETE CASCADE,
    CHECK (status NOT IN ('abstained', 'failed') OR reason IS NOT NULL)
);
CREATE INDEX agent_run_tasks_created ON agent_run_tasks (tenant_id, created_at DESC);
CALL isolate('agent_run_tasks');
GRANT SELECT ON agent_run_tasks TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON agent_run_tasks TO alphapulse_app;

-- run_id is the correlation id of the events and deliberately no foreign key: a signal is a fact of
-- its own and outlives the run that asked for it.
CREATE TABLE agent_signals (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    agent text NOT NULL CHECK (agent IN
        ('technical', 'fundamental', 'sentiment', 'value', 'activist', 'buffett')),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    interval text CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    -- An agent that abstains gives a reason and no figures.
    abstained boolean NOT NULL DEFAULT false,
    abstain_reason text,
    signal text CHECK (signal IN ('buy', 'sell', 'hold')),
    score double precision CHECK (score BETWEEN -1 AND 1),
    confidence double precision CHECK (confidence BETWEEN 0 AND 1),
    reasons text[] NOT NULL DEFAULT '{}',
    inputs jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(inputs) = 'array'),
    agent_version text NOT NULL CHECK (length(agent_version) BETWEEN 1 AND 50),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, run_id, agent, symbol),
    CHECK (CASE WHEN abstained
        THEN abstain_reason IS NOT NULL AND signal IS NULL AND score IS NULL AND confidence IS NULL
        ELSE abstain_reason IS NULL AND signal IS NOT NULL AND score IS NOT NULL AND confidence IS NOT NULL
    END)
);
CREATE INDEX agent_signals_created ON agent_signals (tenant_id, created_at DESC);
CREATE INDEX agent_signals_latest ON agent_signals (tenant_id, symbol, agent, created_at DESC);
CALL isolate('agent_signals');
GRANT SELECT ON agent_signals TO alphapulse_readonly;
GRANT SELECT, INSERT ON agent_signals TO alphapulse_app;

CREATE TABLE consensus_signals (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    signal text NOT NULL CHECK (signal IN ('buy', 'sell', 'hold')),
    score numeric(9,6) NOT NULL CHECK (score BETWEEN -1 AND 1),
    quorum boolean NOT NULL,
    -- Of the agents that spoke, before renormalising; a tenant's own weights may sum to more than 1.
    weight_present numeric(9,6) NOT NULL CHECK (weight_present >= 0),
    reason text,
    contributions jsonb NOT NULL CHECK (jsonb_typeof(contributions) = 'array'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, run_id, symbol)
);
CREATE INDEX consensus_signals_created ON consensus_signals (tenant_id, created_at DESC);
CREATE INDEX consensus_signals_latest ON consensus_signals (tenant_id, symbol, created_at DESC);
CALL isolate('consensus_signals');
GRANT SELECT ON consensus_signals TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON consensus_signals TO alphapulse_app;
