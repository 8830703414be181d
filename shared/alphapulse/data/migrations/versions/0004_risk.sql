-- Risk limits, risk runs, optimisation runs.

-- Shares are fractions of equity (0.20 is 20 %), leverage a multiple of it. Defaults are the product's.
CREATE TABLE risk_limits (
    tenant_id uuid NOT NULL UNIQUE REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    max_position_pct numeric(9,6) NOT NULL DEFAULT 0.20
        CHECK (max_position_pct > 0 AND max_position_pct <= 5),
    max_leverage numeric(9,6) NOT NULL DEFAULT 1 CHECK (max_leverage > 0 AND max_leverage <= 5),
    daily_loss_pct numeric(9,6) NOT NULL DEFAULT 0.05
        CHECK (daily_loss_pct > 0 AND daily_loss_pct <= 1),
    max_drawdown_pct numeric(9,6) NOT NULL DEFAULT 0.20
        CHECK (max_drawdown_pct > 0 AND max_drawdown_pct <= 1),
    var_warning_pct numeric(9,6) NOT NULL DEFAULT 0.05
        CHECK (var_warning_pct > 0 AND var_warning_pct <= 1),
    price_max_age_seconds integer NOT NULL DEFAULT 30 CHECK (price_max_age_seconds > 0),
    -- Null: what the tier allows.
    max_open_positions integer CHECK (max_open_positions >= 0),
    updated_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX risk_limits_created ON risk_limits (tenant_id, created_at DESC);
CALL isolate('risk_limits');
GRANT SELECT ON risk_limits TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON risk_limits TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON risk_limits TO alphapulse_platform;

-- One row per risk run; the figures are null until it is done. Losses are positive.
CREATE TABLE risk_metrics (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed')),
    reason text,
    method text NOT NULL DEFAULT 'historical'
        CHECK (method IN ('historical', 'normal', 'cornish_fisher', 'monte_carlo')),
    confidence double precision NOT NULL DEFAULT 0.95 CHECK (confidence > 0 AND confidence < 1),
    horizon_days integer NOT NULL DEFAULT 1 CHECK (horizon_days > 0),
    observations integer CHECK (observations > 0),
    as_of timestamptz,
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z0-9]{2,20}$'),
    equity numeric(38,18),
    leverage numeric(12,6) CHECK (leverage >= 0),
    value_at_risk numeric(38,18),
    cvar numeric(38,18),
    volatility double precision CHECK (volatility >= 0),
    sharpe double precision,
    sortino double precision,
    calmar double precision,
    beta double precision,
    max_drawdown double precision CHECK (max_drawdown BETWEEN -1 AND 1),
    details jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (status <> 'failed' OR reason IS NOT NULL)
);
CREATE INDEX risk_metrics_created ON risk_metrics (tenant_id, created_at DESC);
CALL isolate('risk_metrics');
GRANT SELECT ON risk_metrics TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON risk_metrics TO alphapulse_app;

CREATE TABLE optimization_runs (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    method text NOT NULL CHECK (method IN
        ('mean_variance', 'risk_parity', 'hrp', 'black_litterman', 'kelly')),
    symbols text[] NOT NULL CHECK (cardinality(symbols) > 0),
    parameters jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(parameters) = 'object'),
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed')),
    reason text,
    weights jsonb CHECK (jsonb_typeof(weights) = 'object'),
    result jsonb CHECK (jsonb_typeof(result) = 'object'),
    created_by uuid,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (status <> 'failed' OR reason IS NOT NULL),
    CHECK (status <> 'done' OR weights IS NOT NULL)
);
CREATE INDEX optimization_runs_created ON optimization_runs (tenant_id, created_at DESC);
CALL isolate('optimization_runs');
GRANT SELECT ON optimization_runs TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON optimization_runs TO alphapulse_app;
