-- The whole schema, for readers. The database itself is made by the migrations; a test proves
-- that they produce this. Ids come from the application (UUIDv7). Money is numeric(38,18).
--
-- Run by alphapulse_owner. The roles and the schema itself are made by alphapulse.data.bootstrap,
-- because they belong to the cluster and not to one database.
--
-- The rules every tenant table keeps, checked against the live catalogue by a test:
--   tenant_id uuid NOT NULL, first column of the primary key and of every index;
--   row-level security enabled and forced, so that the owner is bound by it too;
--   the policy tenant_isolation for reads and writes of every role;
--   grants per role and command, nothing to PUBLIC.

-- section: 0001_tenants

-- The one definition of isolation. NULLIF lets an empty setting (what PostgreSQL leaves behind after
-- a SET LOCAL) mean "no tenant" instead of a cast error; missing_ok does the same for an absent one.
-- The comparison is a plain equality on tenant_id, so the planner can merge it with a query's own
-- predicate and check the setting once per statement instead of once per row.
CREATE PROCEDURE isolate(target regclass, tenant_column name DEFAULT 'tenant_id')
LANGUAGE plpgsql
AS $$
DECLARE
    own_rows constant text := format(
        '%I = NULLIF(current_setting(''app.current_tenant_id'', true), '''')::uuid', tenant_column);
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_isolation ON %s USING (%s) WITH CHECK (%s)', target, own_rows, own_rows);
END
$$;
REVOKE ALL ON PROCEDURE isolate(regclass, name) FROM PUBLIC;

GRANT USAGE ON SCHEMA alphapulse TO alphapulse_app, alphapulse_platform, alphapulse_readonly;

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    company text NOT NULL CHECK (length(company) BETWEEN 1 AND 200),
    tier text NOT NULL CHECK (tier IN ('starter', 'pro', 'enterprise')),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN
        ('pending', 'provisioning', 'active', 'suspended', 'cancelled', 'deleted', 'failed')),
    status_reason text,
    trial_ends_at timestamptz,
    grace_ends_at timestamptz,
    activated_at timestamptz,
    suspended_at timestamptz,
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenants_created ON tenants (created_at DESC, id);
CREATE INDEX tenants_status ON tenants (status);
CALL isolate('tenants', 'id');
CREATE POLICY platform_registry ON tenants TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON tenants TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenants TO alphapulse_platform;

CREATE TABLE users (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    email text NOT NULL CHECK (email ~ '^[^@\s]+@[^@\s]+$' AND length(email) <= 254),
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'trader', 'viewer', 'platform_admin')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    failed_logins integer NOT NULL DEFAULT 0 CHECK (failed_logins >= 0),
    locked_until timestamptz,
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
-- One login per address on the whole platform: the address alone finds the tenant.
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE INDEX users_created ON users (tenant_id, created_at DESC);
CALL isolate('users');
CREATE POLICY platform_accounts ON users TO alphapulse_platform USING (true) WITH CHECK (true);
-- Never password_hash: only accounts, with the platform role, verifies passwords.
GRANT SELECT (tenant_id, id, email, role, status, last_login_at, created_at, updated_at)
    ON users TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO alphapulse_platform;

-- Refresh tokens. A family is one login; each refresh rotates within it, and a rotated token that
-- comes back revokes the family.
CREATE TABLE sessions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    family_id uuid NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    rotated_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX sessions_created ON sessions (tenant_id, created_at DESC);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_family ON sessions (tenant_id, family_id);
CALL isolate('sessions');
CREATE POLICY platform_accounts ON sessions TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO alphapulse_platform;

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    prefix text NOT NULL CHECK (length(prefix) BETWEEN 4 AND 64),
    key_hash bytea NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    role text NOT NULL CHECK (role IN ('owner', 'trader', 'viewer')),
    scopes text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz CHECK (expires_at > created_at),
    last_used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX api_keys_created ON api_keys (tenant_id, created_at DESC);
CREATE INDEX api_keys_user ON api_keys (tenant_id, user_id);
CALL isolate('api_keys');
CREATE POLICY platform_accounts ON api_keys TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (last_used_at) ON api_keys TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO alphapulse_platform;

-- One row per tenant: preferences, tier overrides, and the kill switch.
CREATE TABLE tenant_configs (
    tenant_id uuid NOT NULL UNIQUE REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z0-9]{2,20}$'),
    timezone text NOT NULL DEFAULT 'UTC',
    auto_trade boolean NOT NULL DEFAULT false,
    trading_halted boolean NOT NULL DEFAULT false,
    halted_at timestamptz,
    halted_by uuid,
    halt_reason text,
    limit_overrides jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limit_overrides) = 'object'),
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (NOT trading_halted OR halted_at IS NOT NULL)
);
CREATE INDEX tenant_configs_created ON tenant_configs (tenant_id, created_at DESC);
CALL isolate('tenant_configs');
GRANT SELECT ON tenant_configs TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON tenant_configs TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_configs TO alphapulse_platform;

CREATE TABLE provisioning_runs (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    status text NOT NULL DEFAULT 'running' CHECK (status IN
        ('running', 'done', 'compensating', 'failed')),
    error text,
    deadline_at timestamptz NOT NULL,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX provisioning_runs_created ON provisioning_runs (tenant_id, created_at DESC);
CREATE INDEX provisioning_runs_overdue ON provisioning_runs (deadline_at)
    WHERE status IN ('running', 'compensating');
CALL isolate('provisioning_runs');
CREATE POLICY platform_saga ON provisioning_runs TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON provisioning_runs TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON provisioning_runs TO alphapulse_platform;

CREATE TABLE provisioning_steps (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL CHECK (step IN ('database', 'vault', 'cache', 'billing', 'verify', 'activate')),
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN
        ('waiting', 'running', 'done', 'failed', 'compensated', 'skipped')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    detail jsonb NOT NULL DEFAULT '{}',
    error text,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, run_id, step),
    FOREIGN KEY (tenant_id, run_id) REFERENCES provisioning_runs ON DELETE CASCADE
);
CREATE INDEX provisioning_steps_created ON provisioning_steps (tenant_id, created_at DESC);
CALL isolate('provisioning_steps');
CREATE POLICY platform_saga ON provisioning_steps TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON provisioning_steps TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON provisioning_steps TO alphapulse_platform;

-- Exchange keys themselves are in Vault; here is only what may be listed.
CREATE TABLE tenant_credentials (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    exchange text NOT NULL CHECK (exchange IN ('binance', 'coinbase', 'kraken')),
    label text NOT NULL DEFAULT '' CHECK (length(label) <= 100),
    key_hint text NOT NULL CHECK (length(key_hint) <= 8),
    vault_version integer NOT NULL DEFAULT 1 CHECK (vault_version > 0),
    permissions text[] NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'unchecked' CHECK (status IN ('unchecked', 'valid', 'failing', 'revoked')),
    checked_at timestamptz,
    failure text,
    rotated_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, exchange)
);
CREATE INDEX tenant_credentials_created ON tenant_credentials (tenant_id, created_at DESC);
CALL isolate('tenant_credentials');
GRANT SELECT ON tenant_credentials TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_credentials TO alphapulse_app;
GRANT SELECT ON tenant_credentials TO alphapulse_platform;

-- Switches of the whole platform, such as the platform-wide trading halt (key 'trading_halted').
CREATE TABLE platform_settings (
    key text PRIMARY KEY CHECK (key ~ '^[a-z][a-z0-9_]{0,62}$'),
    value jsonb NOT NULL,
    updated_by uuid,
    updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON platform_settings TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_settings TO alphapulse_platform;

-- section: 0002_market

CREATE TABLE candles (
    exchange text NOT NULL CHECK (exchange ~ '^[a-z][a-z0-9_]{1,31}$'),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    interval text NOT NULL CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    open_time timestamptz NOT NULL,
    open numeric(38,18) NOT NULL CHECK (open > 0),
    high numeric(38,18) NOT NULL,
    low numeric(38,18) NOT NULL CHECK (low > 0),
    close numeric(38,18) NOT NULL CHECK (close > 0),
    volume numeric(38,18) NOT NULL CHECK (volume >= 0),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 100),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange, symbol, interval, open_time),
    CHECK (high >= low AND high >= open AND high >= close AND low <= open AND low <= close)
);
GRANT SELECT ON candles TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON candles TO alphapulse_platform;

CREATE TABLE instruments (
    exchange text NOT NULL CHECK (exchange ~ '^[a-z][a-z0-9_]{1,31}$'),
    symbol text NOT NULL CHECK (symbol = base || '-' || quote),
    base text NOT NULL CHECK (base ~ '^[A-Z0-9]{1,20}$'),
    quote text NOT NULL CHECK (quote ~ '^[A-Z0-9]{1,20}$'),
    exchange_symbol text,
    tick numeric(38,18) NOT NULL CHECK (tick > 0),
    lot numeric(38,18) NOT NULL CHECK (lot > 0),
    min_quantity numeric(38,18) NOT NULL DEFAULT 0 CHECK (min_quantity >= 0),
    max_quantity numeric(38,18) CHECK (max_quantity > 0),
    min_notional numeric(38,18) NOT NULL DEFAULT 0 CHECK (min_notional >= 0),
    status text NOT NULL DEFAULT 'trading' CHECK (status IN ('trading', 'halted', 'delisted')),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 100),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange, symbol)
);
GRANT SELECT ON instruments TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON instruments TO alphapulse_platform;

-- section: 0003_trading

CREATE TABLE trades (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    client_order_id text NOT NULL CHECK (length(client_order_id) BETWEEN 1 AND 64),
    exchange text NOT NULL CHECK (exchange IN ('paper', 'binance', 'coinbase', 'kraken')),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    type text NOT NULL CHECK (type IN ('market', 'limit', 'stop_limit')),
    time_in_force text NOT NULL DEFAULT 'gtc' CHECK (time_in_force IN ('gtc', 'ioc', 'fok')),
    quantity numeric(38,18) NOT NULL CHECK (quantity > 0),
    price numeric(38,18) CHECK (price > 0),
    stop_price numeric(38,18) CHECK (stop_price > 0),
    -- What the limits were checked with; reserves notional for a market order until it fills.
    reference_price numeric(38,18) CHECK (reference_price > 0),
    status text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'pending_submit', 'open',
        'partially_filled', 'filled', 'cancelled', 'rejected', 'expired', 'unknown')),
    filled_quantity numeric(38,18) NOT NULL DEFAULT 0 CHECK (filled_quantity BETWEEN 0 AND quantity),
    average_price numeric(38,18) CHECK (average_price > 0),
    fee_amount numeric(38,18) NOT NULL DEFAULT 0,
    fee_currency text CHECK (fee_currency ~ '^[A-Z0-9]{1,20}$'),
    exchange_order_id text,
    reason text,
    origin text NOT NULL DEFAULT 'user' CHECK (origin IN ('user', 'auto', 'rebalance')),
    correlation_id uuid,
    created_by uuid,
    submitted_at timestamptz,
    synced_at timestamptz,
    closed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, client_order_id),
    CHECK (type = 'market' OR price IS NOT NULL),
    CHECK (type <> 'stop_limit' OR stop_price IS NOT NULL),
    CHECK (filled_quantity = 0 OR average_price IS NOT NULL)
) PARTITION BY HASH (tenant_id);
CREATE INDEX trades_created ON trades (tenant_id, created_at DESC);
CREATE INDEX trades_symbol ON trades (tenant_id, symbol, created_at DESC);
CREATE INDEX trades_unsettled ON trades (tenant_id, exchange, symbol)
    WHERE status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown');
CALL isolate('trades');
-- Order synchronisation must find the tenants that have unsettled orders, and nothing else about them.
CREATE POLICY platform_unsettled ON trades FOR SELECT TO alphapulse_platform
    USING (status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown'));
GRANT SELECT ON trades TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON trades TO alphapulse_app;
GRANT SELECT (tenant_id, exchange, status) ON trades TO alphapulse_platform;

-- A partition has policies of its own and no grants: reached through trades or not at all.
DO $$
BEGIN
    FOR remainder IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE trades_%s PARTITION OF trades FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
            remainder, remainder);
        EXECUTE format('CALL isolate(%L)', 'trades_' || remainder);
    END LOOP;
END
$$;

CREATE TABLE trade_executions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    trade_id uuid NOT NULL,
    execution_id text NOT NULL CHECK (length(execution_id) BETWEEN 1 AND 128),
    quantity numeric(38,18) NOT NULL CHECK (quantity > 0),
    price numeric(38,18) NOT NULL CHECK (price > 0),
    fee_amount numeric(38,18) NOT NULL DEFAULT 0,
    fee_currency text CHECK (fee_currency ~ '^[A-Z0-9]{1,20}$'),
    liquidity text CHECK (liquidity IN ('maker', 'taker')),
    executed_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, trade_id, execution_id),
    FOREIGN KEY (tenant_id, trade_id) REFERENCES trades ON DELETE CASCADE
);
CREATE INDEX trade_executions_created ON trade_executions (tenant_id, created_at DESC);
CALL isolate('trade_executions');
GRANT SELECT ON trade_executions TO alphapulse_readonly;
GRANT SELECT, INSERT ON trade_executions TO alphapulse_app;

CREATE TABLE positions (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    exchange text NOT NULL CHECK (exchange IN ('paper', 'binance', 'coinbase', 'kraken')),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    -- Spot accounts only: what is held, never short.
    quantity numeric(38,18) NOT NULL CHECK (quantity >= 0),
    -- Average cost with purchase fees; zero when nothing is held.
    average_price numeric(38,18) NOT NULL DEFAULT 0 CHECK (average_price >= 0),
    realised_pnl numeric(38,18) NOT NULL DEFAULT 0,
    last_price numeric(38,18) CHECK (last_price > 0),
    price_as_of timestamptz,
    opened_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, exchange, symbol)
);
CREATE INDEX positions_created ON positions (tenant_id, created_at DESC);
CALL isolate('positions');
GRANT SELECT ON positions TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON positions TO alphapulse_app;

CREATE TABLE balances (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    exchange text NOT NULL CHECK (exchange IN ('paper', 'binance', 'coinbase', 'kraken')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z0-9]{1,20}$'),
    -- Below zero is borrowed cash, which leverage above 1 allows.
    amount numeric(38,18) NOT NULL,
    reserved numeric(38,18) NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, exchange, currency)
);
CREATE INDEX balances_created ON balances (tenant_id, created_at DESC);
CALL isolate('balances');
GRANT SELECT ON balances TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON balances TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON balances TO alphapulse_platform;

CREATE TABLE portfolios (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL DEFAULT 'main' CHECK (length(name) BETWEEN 1 AND 100),
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z0-9]{2,20}$'),
    starting_equity numeric(38,18) NOT NULL CHECK (starting_equity >= 0),
    -- Drawdown is measured from the peak, the daily loss from the equity at 00:00 UTC.
    peak_equity numeric(38,18) NOT NULL CHECK (peak_equity >= 0),
    day_start_equity numeric(38,18) NOT NULL,
    day_start_at timestamptz NOT NULL DEFAULT date_trunc('day', now(), 'UTC'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);
CREATE INDEX portfolios_created ON portfolios (tenant_id, created_at DESC);
CALL isolate('portfolios');
GRANT SELECT ON portfolios TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON portfolios TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON portfolios TO alphapulse_platform;

CREATE TABLE portfolio_history (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL,
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z0-9]{2,20}$'),
    equity numeric(38,18) NOT NULL,
    cash numeric(38,18) NOT NULL,
    realised_pnl numeric(38,18) NOT NULL,
    unrealised_pnl numeric(38,18) NOT NULL,
    leverage numeric(12,6) NOT NULL DEFAULT 0 CHECK (leverage >= 0),
    stale boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, at)
);
CREATE INDEX portfolio_history_created ON portfolio_history (tenant_id, created_at DESC);
CALL isolate('portfolio_history');
GRANT SELECT ON portfolio_history TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON portfolio_history TO alphapulse_app;
GRANT SELECT, INSERT, DELETE ON portfolio_history TO alphapulse_platform;
-- Sign-up writes the first snapshot.
GRANT INSERT ON portfolio_history TO alphapulse_platform;

-- The paper exchange's own book. It stands for an exchange's database, so nothing here refers to
-- trades: order synchronisation compares the two through client_order_id, as with a real exchange.
CREATE TABLE paper_orders (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    client_order_id text NOT NULL CHECK (length(client_order_id) BETWEEN 1 AND 64),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    type text NOT NULL CHECK (type IN ('market', 'limit', 'stop_limit')),
    time_in_force text NOT NULL DEFAULT 'gtc' CHECK (time_in_force IN ('gtc', 'ioc', 'fok')),
    quantity numeric(38,18) NOT NULL CHECK (quantity > 0),
    price numeric(38,18) CHECK (price > 0),
    stop_price numeric(38,18) CHECK (stop_price > 0),
    triggered_at timestamptz,
    status text NOT NULL DEFAULT 'open' CHECK (status IN
        ('open', 'partially_filled', 'filled', 'cancelled', 'rejected', 'expired')),
    filled_quantity numeric(38,18) NOT NULL DEFAULT 0 CHECK (filled_quantity BETWEEN 0 AND quantity),
    average_price numeric(38,18) CHECK (average_price > 0),
    fee_amount numeric(38,18) NOT NULL DEFAULT 0,
    fee_currency text CHECK (fee_currency ~ '^[A-Z0-9]{1,20}$'),
    reason text,
    -- Market data up to here has been matched against this order.
    matched_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, client_order_id),
    CHECK (type = 'market' OR price IS NOT NULL),
    CHECK (type <> 'stop_limit' OR stop_price IS NOT NULL)
);
CREATE INDEX paper_orders_created ON paper_orders (tenant_id, created_at DESC);
CREATE INDEX paper_orders_open ON paper_orders (tenant_id, symbol) WHERE status IN ('open', 'partially_filled');
CALL isolate('paper_orders');
GRANT SELECT ON paper_orders TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON paper_orders TO alphapulse_app;

CREATE TABLE paper_fills (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    quantity numeric(38,18) NOT NULL CHECK (quantity > 0),
    price numeric(38,18) NOT NULL CHECK (price > 0),
    fee_amount numeric(38,18) NOT NULL DEFAULT 0,
    fee_currency text CHECK (fee_currency ~ '^[A-Z0-9]{1,20}$'),
    liquidity text CHECK (liquidity IN ('maker', 'taker')),
    filled_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, order_id) REFERENCES paper_orders ON DELETE CASCADE
);
CREATE INDEX paper_fills_created ON paper_fills (tenant_id, created_at DESC);
CREATE INDEX paper_fills_order ON paper_fills (tenant_id, order_id);
CALL isolate('paper_fills');
GRANT SELECT ON paper_fills TO alphapulse_readonly;
GRANT SELECT, INSERT ON paper_fills TO alphapulse_app;

-- section: 0004_risk

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

-- section: 0005_agents

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

-- section: 0006_messaging

-- Events waiting to be sent, written in the transaction of the change they tell of. A sent row is
-- deleted. No foreign key to tenants: an event about a deleted tenant must still leave.
CREATE TABLE outbox (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    event jsonb NOT NULL CHECK (jsonb_typeof(event) = 'object'),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX outbox_created ON outbox (tenant_id, created_at DESC);
CREATE INDEX outbox_due ON outbox (next_attempt_at);
CALL isolate('outbox');
CREATE POLICY platform_relay ON outbox TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO alphapulse_app, alphapulse_platform;

-- The same for events of the platform itself, which belong to no tenant.
CREATE TABLE platform_outbox (
    id uuid PRIMARY KEY,
    event jsonb NOT NULL CHECK (jsonb_typeof(event) = 'object'),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX platform_outbox_due ON platform_outbox (next_attempt_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_outbox TO alphapulse_platform;

-- Which events a consumer has handled, and what it replied; a redelivery gets the same reply.
CREATE TABLE processed_events (
    tenant_id uuid NOT NULL,
    consumer text NOT NULL CHECK (length(consumer) BETWEEN 1 AND 100),
    source text NOT NULL,
    event_id text NOT NULL,
    reply jsonb CHECK (jsonb_typeof(reply) = 'object'),
    processed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, consumer, source, event_id)
);
CREATE INDEX processed_events_processed ON processed_events (tenant_id, processed_at DESC);
CALL isolate('processed_events');
GRANT SELECT, INSERT, UPDATE, DELETE ON processed_events TO alphapulse_app, alphapulse_platform;

CREATE TABLE platform_processed_events (
    consumer text NOT NULL CHECK (length(consumer) BETWEEN 1 AND 100),
    source text NOT NULL,
    event_id text NOT NULL,
    reply jsonb CHECK (jsonb_typeof(reply) = 'object'),
    processed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, source, event_id)
);
CREATE INDEX platform_processed_events_processed ON platform_processed_events (processed_at DESC);
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_processed_events TO alphapulse_platform;

-- First answers by Idempotency-Key. A row without a response is work under way until locked_until.
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    operation text NOT NULL CHECK (length(operation) <= 300),
    request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    response_status integer CHECK (response_status BETWEEN 100 AND 599),
    response_headers jsonb CHECK (jsonb_typeof(response_headers) = 'object'),
    response_body bytea,
    locked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, key),
    CHECK ((response_status IS NULL) = (response_body IS NULL)),
    CHECK ((response_status IS NULL) = (completed_at IS NULL))
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (tenant_id, created_at DESC);
CALL isolate('idempotency_keys');
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO alphapulse_app, alphapulse_platform;

-- section: 0007_billing

CREATE TABLE usage_events (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    meter text NOT NULL CHECK (meter ~ '^[a-z][a-z0-9_]{1,62}$'),
    quantity numeric(38,18) NOT NULL CHECK (quantity > 0),
    -- Unique per tenant, so that a repeated report counts once.
    identifier text NOT NULL CHECK (length(identifier) BETWEEN 1 AND 200),
    source text NOT NULL,
    occurred_at timestamptz NOT NULL,
    aggregated_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, identifier)
);
CREATE INDEX usage_events_created ON usage_events (tenant_id, created_at DESC);
CREATE INDEX usage_events_pending ON usage_events (tenant_id, occurred_at) WHERE aggregated_at IS NULL;
CALL isolate('usage_events');
GRANT SELECT ON usage_events TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE (aggregated_at) ON usage_events TO alphapulse_app;

CREATE TABLE usage_aggregates (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    meter text NOT NULL CHECK (meter ~ '^[a-z][a-z0-9_]{1,62}$'),
    period text NOT NULL CHECK (period IN ('hour', 'day', 'month')),
    period_start timestamptz NOT NULL,
    quantity numeric(38,18) NOT NULL CHECK (quantity >= 0),
    reported_quantity numeric(38,18) NOT NULL DEFAULT 0 CHECK (reported_quantity >= 0),
    reported_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, meter, period, period_start)
);
CREATE INDEX usage_aggregates_created ON usage_aggregates (tenant_id, created_at DESC);
CALL isolate('usage_aggregates');
GRANT SELECT ON usage_aggregates TO alphapulse_readonly, alphapulse_platform;
GRANT SELECT, INSERT, UPDATE ON usage_aggregates TO alphapulse_app;

CREATE TABLE subscriptions (
    tenant_id uuid NOT NULL UNIQUE REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    tier text NOT NULL CHECK (tier IN ('starter', 'pro', 'enterprise')),
    status text NOT NULL CHECK (status IN
        ('incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'cancelled')),
    stripe_customer_id text UNIQUE,
    stripe_subscription_id text UNIQUE,
    stripe_price_id text,
    current_period_start timestamptz,
    current_period_end timestamptz,
    trial_ends_at timestamptz,
    grace_ends_at timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    -- Time of the newest Stripe event applied; an older one that arrives late changes nothing.
    applied_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (current_period_end > current_period_start)
);
CREATE INDEX subscriptions_created ON subscriptions (tenant_id, created_at DESC);
CALL isolate('subscriptions');
-- A webhook names a customer; the tenant is found from it.
CREATE POLICY platform_billing ON subscriptions FOR SELECT TO alphapulse_platform USING (true);
GRANT SELECT ON subscriptions TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON subscriptions TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions TO alphapulse_platform;

CREATE TABLE invoices (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    stripe_invoice_id text NOT NULL UNIQUE,
    number text,
    status text NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'void', 'uncollectible')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_due numeric(38,18) NOT NULL CHECK (amount_due >= 0),
    amount_paid numeric(38,18) NOT NULL DEFAULT 0 CHECK (amount_paid >= 0),
    period_start timestamptz,
    period_end timestamptz,
    due_at timestamptz,
    paid_at timestamptz,
    hosted_url text,
    lines jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(lines) = 'array'),
    applied_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX invoices_created ON invoices (tenant_id, created_at DESC);
CALL isolate('invoices');
GRANT SELECT ON invoices TO alphapulse_readonly, alphapulse_platform;
GRANT SELECT, INSERT, UPDATE ON invoices TO alphapulse_app;

-- Every webhook as it came, by Stripe's own id; the tenant is known only once it has been looked up.
CREATE TABLE stripe_events (
    id text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    tenant_id uuid REFERENCES tenants ON DELETE SET NULL,
    type text NOT NULL,
    livemode boolean NOT NULL,
    payload jsonb NOT NULL,
    status text NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'applied', 'ignored', 'failed')),
    error text,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz
);
CREATE INDEX stripe_events_created ON stripe_events (tenant_id, created_at DESC);
CALL isolate('stripe_events');
CREATE POLICY platform_billing ON stripe_events TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_events TO alphapulse_platform;

-- section: 0008_audit_and_notices

-- Append-only: no role may update or delete, and each row carries the hash of the one before it.
-- No foreign key: the log outlives the tenant.
CREATE TABLE audit_log (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    actor_type text NOT NULL CHECK (actor_type IN ('user', 'api_key', 'function', 'operator')),
    actor_id text NOT NULL,
    action text NOT NULL CHECK (action ~ '^[a-z][a-z0-9_.]{1,99}$'),
    resource_type text,
    resource_id text,
    details jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
    trace_id text,
    previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, sequence)
);
CREATE INDEX audit_log_created ON audit_log (tenant_id, created_at DESC);
CALL isolate('audit_log');
GRANT SELECT ON audit_log TO alphapulse_readonly;
GRANT SELECT, INSERT ON audit_log TO alphapulse_app, alphapulse_platform;

-- What a row's hash covers, as text that does not depend on the session's settings.
CREATE FUNCTION audit_hash(entry audit_log) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(entry.previous_hash || convert_to(jsonb_build_array(
    entry.tenant_id, entry.id, entry.sequence, entry.actor_type, entry.actor_id, entry.action,
    entry.resource_type, entry.resource_id, entry.details, entry.trace_id,
    extract(epoch FROM entry.created_at))::text, 'UTF8'));
REVOKE ALL ON FUNCTION audit_hash(audit_log) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_hash(audit_log) TO alphapulse_app, alphapulse_platform, alphapulse_readonly;

-- The database numbers and chains the rows, so that a writer cannot choose its place in the log.
CREATE FUNCTION audit_chain() RETURNS trigger
LANGUAGE plpgsql SET search_path = alphapulse, pg_temp
AS $$
DECLARE
    last record;
BEGIN
    -- One writer per tenant at a time, or two rows would follow the same one.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_log ' || new.tenant_id, 0));
    SELECT a.sequence, a.hash INTO last FROM audit_log a
    WHERE a.tenant_id = new.tenant_id ORDER BY a.sequence DESC LIMIT 1;
    new.sequence := coalesce(last.sequence, 0) + 1;
    new.previous_hash := coalesce(last.hash, sha256(uuid_send(new.tenant_id)));
    new.created_at := clock_timestamp();
    new.hash := audit_hash(new);
    RETURN new;
END
$$;
REVOKE ALL ON FUNCTION audit_chain() FROM PUBLIC;
CREATE TRIGGER audit_log_chain BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_chain();

CREATE FUNCTION audit_refuse() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION audit_refuse() FROM PUBLIC;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

CREATE TABLE notifications (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    user_id uuid,
    channel text NOT NULL CHECK (channel IN ('email', 'webhook', 'in_app')),
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_.]{1,99}$'),
    subject text NOT NULL,
    body text NOT NULL DEFAULT '',
    payload jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
    -- One notice per cause, however often its event is delivered.
    dedupe_key text NOT NULL CHECK (length(dedupe_key) BETWEEN 1 AND 200),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'failed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error text,
    sent_at timestamptz,
    read_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, dedupe_key)
);
CREATE INDEX notifications_created ON notifications (tenant_id, created_at DESC);
CALL isolate('notifications');
GRANT SELECT ON notifications TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON notifications TO alphapulse_app;

CREATE TABLE webhook_endpoints (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    url text NOT NULL CHECK (url ~ '^https?://' AND length(url) <= 2000),
    events text[] NOT NULL DEFAULT '{}',
    vault_version integer NOT NULL DEFAULT 1 CHECK (vault_version > 0),
    enabled boolean NOT NULL DEFAULT true,
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    succeeded_at timestamptz,
    failed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, url)
);
CREATE INDEX webhook_endpoints_created ON webhook_endpoints (tenant_id, created_at DESC);
CALL isolate('webhook_endpoints');
GRANT SELECT ON webhook_endpoints TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints TO alphapulse_app;

-- section: 0009_accounts

-- Failures are counted per address and per client, whether or not there is such a user (login_throttles).
ALTER TABLE users DROP COLUMN failed_logins, DROP COLUMN locked_until;
ALTER TABLE users DROP CONSTRAINT users_status_check,
    ADD CONSTRAINT users_status_check CHECK (status IN ('invited', 'active', 'disabled'));
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;
ALTER TABLE users ADD COLUMN totp_enabled_at timestamptz;
-- The 30 s step of the last code that was accepted: no code works twice.
ALTER TABLE users ADD COLUMN totp_last_step bigint CHECK (totp_last_step >= 0);

-- What a person recognises a login by, and what a browser proves that a request is its own.
ALTER TABLE sessions ADD COLUMN client text NOT NULL DEFAULT '' CHECK (length(client) <= 200);
ALTER TABLE sessions ADD COLUMN address text CHECK (length(address) <= 64);
-- Whether a user has logged in from an address takes as long as for one who never did.
DROP INDEX sessions_user;
CREATE INDEX sessions_user ON sessions (tenant_id, user_id, address);
ALTER TABLE sessions ADD COLUMN csrf_hash bytea CHECK (octet_length(csrf_hash) = 32);

-- Links in mails. The token names its tenant, so it is looked up among that tenant's rows only.
CREATE TABLE one_time_tokens (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'invitation')),
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    -- The address it was sent to: what it proves.
    email text NOT NULL CHECK (length(email) <= 254),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX one_time_tokens_created ON one_time_tokens (tenant_id, created_at DESC);
-- A newer token takes the place of the unused one.
CREATE UNIQUE INDEX one_time_tokens_newest ON one_time_tokens (tenant_id, user_id, purpose)
    WHERE used_at IS NULL;
CALL isolate('one_time_tokens');
GRANT SELECT, INSERT, UPDATE, DELETE ON one_time_tokens TO alphapulse_platform;

-- Each stands in for a code of the second factor, once. The factor's secret is in Vault.
CREATE TABLE recovery_codes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, user_id, code_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX recovery_codes_created ON recovery_codes (tenant_id, created_at DESC);
CALL isolate('recovery_codes');
GRANT SELECT, INSERT, UPDATE, DELETE ON recovery_codes TO alphapulse_platform;

-- Attempts by hashed address and by client address. Of no tenant: most guesses name no user at all.
CREATE TABLE login_throttles (
    key text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 100),
    attempts integer NOT NULL CHECK (attempts >= 0),
    locked_until timestamptz,
    reported_at timestamptz,
    last_attempt_at timestamptz NOT NULL
);
CREATE INDEX login_throttles_last_attempt ON login_throttles (last_attempt_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON login_throttles TO alphapulse_platform;

-- section: 0010_provisioning

ALTER TABLE provisioning_runs ADD COLUMN kind text NOT NULL DEFAULT 'provision'
    CHECK (kind IN ('provision', 'delete'));
-- What compensation or deletion removed from each store, and that nothing was left afterwards.
ALTER TABLE provisioning_runs ADD COLUMN report jsonb CHECK (jsonb_typeof(report) = 'object');
-- When what was removed is looked for once more; null when that is done or not needed.
ALTER TABLE provisioning_runs ADD COLUMN recheck_at timestamptz;
CREATE UNIQUE INDEX provisioning_runs_open ON provisioning_runs (tenant_id)
    WHERE status IN ('running', 'compensating');
CREATE INDEX provisioning_runs_recheck ON provisioning_runs (recheck_at) WHERE recheck_at IS NOT NULL;

ALTER TABLE tenants ADD COLUMN deleted_at timestamptz;

-- Rows are removed by the schema's owner, so that no function's role needs the right to delete from
-- every table. The owner is bound by row-level security too: only the transaction's own tenant.
-- A batch at a time, because a statement may take 30 s. A tenant's rows are all in one partition, so
-- the ctid names a row.
CREATE FUNCTION erase_tenant_rows(relation name, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
DECLARE
    tenant constant uuid := NULLIF(current_setting('app.current_tenant_id', true), '')::uuid;
    erased bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$I WHERE tenant_id = $1 AND ctid = ANY (ARRAY(
        SELECT ctid FROM %1$I WHERE tenant_id = $1 LIMIT $2))', relation) USING tenant, most;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END
$$;
REVOKE ALL ON FUNCTION erase_tenant_rows(name, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_tenant_rows(name, integer) TO alphapulse_platform;

CREATE FUNCTION tenant_has_rows(relation name) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE tenant_id = $1)', relation)
        USING NULLIF(current_setting('app.current_tenant_id', true), '')::uuid INTO found;
    RETURN found;
END
$$;
REVOKE ALL ON FUNCTION tenant_has_rows(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_has_rows(name) TO alphapulse_platform;

-- section: 0011_credentials

ALTER TABLE tenant_credentials ADD COLUMN failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0);
-- Whether the key works from listed addresses only; null when the exchange does not say.
ALTER TABLE tenant_credentials ADD COLUMN ip_restricted boolean;
-- Versions that were rotated out and are kept for a while: [{"version": 1, "until": "2026-01-02T00:00:00Z"}].
ALTER TABLE tenant_credentials ADD COLUMN retired jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(retired) = 'array');
-- A key is valid until three checks have failed; then it is failed, and trading stops. A revoked one is
-- being removed.
ALTER TABLE tenant_credentials DROP CONSTRAINT tenant_credentials_status_check;
ALTER TABLE tenant_credentials ADD CONSTRAINT tenant_credentials_status_check
    CHECK (status IN ('unchecked', 'valid', 'failed', 'revoked'));

-- section: 0012_admission

-- Whether a login still stands; never the hash of its token.
GRANT SELECT (tenant_id, id, user_id, family_id, expires_at, revoked_at) ON sessions TO alphapulse_app;

-- Calls that a process let through while Redis was away and could not hand in before it stopped; added to
-- the day's count, and removed, within the hour.
CREATE TABLE call_backlog (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    day date NOT NULL,
    calls bigint NOT NULL CHECK (calls > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX call_backlog_created ON call_backlog (tenant_id, created_at DESC);
CALL isolate('call_backlog');
CREATE POLICY platform_counts ON call_backlog TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON call_backlog TO alphapulse_readonly;
GRANT SELECT, INSERT ON call_backlog TO alphapulse_app;
GRANT SELECT, DELETE, UPDATE ON call_backlog TO alphapulse_platform;

-- What was agreed with a tenant is the platform's to write: code that acts for a tenant cannot raise its limits.
REVOKE INSERT, UPDATE ON tenant_configs FROM alphapulse_app;
GRANT UPDATE (currency, timezone, auto_trade, trading_halted, halted_at, halted_by, halt_reason, settings,
    updated_at) ON tenant_configs TO alphapulse_app;

-- section: 0013_notices

-- A mail server knows no transaction, so one delivery at a time sends a notice: until this moment the
-- others leave it alone. A sender that crashed is succeeded when it has passed.
ALTER TABLE notifications ADD COLUMN sending_until timestamptz;

-- section: 0014_retention

-- The platform finds and removes rows of all tenants once they are old, and none before; while it acts for a
-- tenant it is bound to that one, as everywhere. How long marks are kept is a setting; never less than this.
CREATE POLICY platform_retention_find ON processed_events FOR SELECT TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND processed_at < now() - interval '7 days');
CREATE POLICY platform_retention ON processed_events FOR DELETE TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND processed_at < now() - interval '7 days');
CREATE POLICY platform_retention_find ON idempotency_keys FOR SELECT TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND created_at < now() - interval '24 hours');
CREATE POLICY platform_retention ON idempotency_keys FOR DELETE TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND created_at < now() - interval '24 hours');
CREATE POLICY platform_retention_find ON one_time_tokens FOR SELECT TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND expires_at < now() - interval '24 hours');
CREATE POLICY platform_retention ON one_time_tokens FOR DELETE TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND expires_at < now() - interval '24 hours');
-- Oldest first, over all tenants.
CREATE INDEX processed_events_age ON processed_events (processed_at);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- An event that the broker refuses for good is not tried again; it stays for an operator, who sets this to null
-- to have it sent once more.
ALTER TABLE outbox ADD COLUMN refused_at timestamptz;
ALTER TABLE platform_outbox ADD COLUMN refused_at timestamptz;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE refused_at IS NULL;
DROP INDEX platform_outbox_due;
CREATE INDEX platform_outbox_due ON platform_outbox (next_attempt_at) WHERE refused_at IS NULL;

-- section: 0015_signals

-- The parameters are all that were in force, defaults included, so that a later default changes nothing.
ALTER TABLE agent_signals
    ADD COLUMN config_version integer CHECK (config_version >= 0),
    ADD COLUMN parameters jsonb CHECK (jsonb_typeof(parameters) = 'object'),
    ADD COLUMN evidence_digest bytea CHECK (octet_length(evidence_digest) = 32),
    -- When the signal is scored; null for an abstention.
    ADD COLUMN horizon_at timestamptz CHECK (horizon_at > created_at);

-- Weights, quorum, thresholds and signals it was reached with; null for those from before this was kept.
ALTER TABLE consensus_signals ADD COLUMN inputs jsonb CHECK (jsonb_typeof(inputs) = 'object');

-- What agents read: market and public data, shared by all tenants whose signals were made from the same. A row is
-- named by its content, so nobody can put one content in another's place.
CREATE TABLE evidence_snapshots (
    digest bytea PRIMARY KEY,
    -- zlib of JSON.
    document bytea NOT NULL,
    -- A signal of this day was made from it.
    used_on date NOT NULL DEFAULT current_date,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (digest = sha256(document))
);
CREATE INDEX evidence_snapshots_used ON evidence_snapshots (used_on);
GRANT SELECT ON evidence_snapshots TO alphapulse_app, alphapulse_readonly;
GRANT SELECT (digest, used_on), DELETE ON evidence_snapshots TO alphapulse_platform;

-- Functions add to it and change nothing in it: these two are all they may. Rows are locked in order, so that two
-- signals that share some never wait for each other.
CREATE FUNCTION keep_evidence(documents bytea[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
    INSERT INTO evidence_snapshots (digest, document)
    SELECT sha256(d.document), d.document FROM unnest(documents) AS d (document) ORDER BY 1
    ON CONFLICT (digest) DO NOTHING
$$;
REVOKE ALL ON FUNCTION keep_evidence(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_evidence(bytea[]) TO alphapulse_app;

-- Returns those there are; they stay for as long as ones that are new today.
CREATE FUNCTION evidence_in_use(digests bytea[]) RETURNS SETOF bytea
LANGUAGE sql SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
    UPDATE evidence_snapshots SET used_on = current_date WHERE digest IN (
        SELECT digest FROM evidence_snapshots
        WHERE digest = ANY (digests) AND used_on < current_date
        ORDER BY digest
        FOR UPDATE
    );
    SELECT digest FROM evidence_snapshots WHERE digest = ANY (digests)
$$;
REVOKE ALL ON FUNCTION evidence_in_use(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION evidence_in_use(bytea[]) TO alphapulse_app;

-- section: 0016_schedule

-- A tenant wants to know, each time a bar closes, what agents say about a symbol.
CREATE TABLE agent_subscriptions (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    interval text NOT NULL CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    -- Null: those that are switched on when the time comes.
    agents text[] CHECK (cardinality(agents) > 0 AND agents <@ ARRAY
        ['technical', 'fundamental', 'sentiment', 'value', 'activist', 'buffett']),
    enabled boolean NOT NULL DEFAULT true,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, symbol, interval)
);
CREATE INDEX agent_subscriptions_created ON agent_subscriptions (tenant_id, created_at DESC);
CALL isolate('agent_subscriptions');
-- The schedule finds whose time has come; the run is begun as the tenant.
CREATE POLICY platform_schedule ON agent_subscriptions FOR SELECT TO alphapulse_platform USING (enabled);
GRANT SELECT ON agent_subscriptions TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON agent_subscriptions TO alphapulse_app;
GRANT SELECT (tenant_id, interval, enabled) ON agent_subscriptions TO alphapulse_platform;

-- The close of the bar that a run was scheduled for; a tenant has one run for it, however often it is told.
ALTER TABLE agent_runs ADD COLUMN tick_at timestamptz CHECK (tick_at IS NULL OR origin = 'schedule');
CREATE UNIQUE INDEX agent_runs_tick ON agent_runs (tenant_id, interval, tick_at) WHERE tick_at IS NOT NULL;

-- When each agent spoke last, however much the others have said since.
CREATE INDEX agent_signals_agent ON agent_signals (tenant_id, agent, created_at DESC);

-- What became of each signal, under the signal's own id; it waits here from the signal on.
CREATE TABLE signal_outcomes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    agent text NOT NULL CHECK (agent IN
        ('technical', 'fundamental', 'sentiment', 'value', 'activist', 'buffett')),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    interval text NOT NULL CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    agent_version text NOT NULL,
    signal text NOT NULL CHECK (signal IN ('buy', 'sell', 'hold')),
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    horizon_at timestamptz NOT NULL,
    -- When it is looked at next.
    due_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'scored', 'unscorable')),
    reason text,
    -- Closes of the bars that had closed last at the signal and at its horizon, and when they closed.
    signal_price numeric(38,18) CHECK (signal_price > 0),
    signal_price_at timestamptz,
    horizon_price numeric(38,18) CHECK (horizon_price > 0),
    horizon_price_at timestamptz,
    price_source text,
    forward_return numeric(38,12),
    -- Up to which return, either way, to hold was right.
    hold_band numeric(38,12) CHECK (hold_band >= 0),
    hit boolean,
    brier numeric(13,12) CHECK (brier BETWEEN 0 AND 1),
    regime text CHECK (regime IN ('trending_up', 'trending_down', 'ranging', 'volatile', 'unknown')),
    scored_at timestamptz,
    -- That of the signal.
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, id) REFERENCES agent_signals ON DELETE CASCADE,
    CHECK ((status = 'pending') = (scored_at IS NULL)),
    CHECK (status <> 'unscorable' OR reason IS NOT NULL),
    CHECK (CASE WHEN status = 'scored'
        THEN num_nulls(signal_price, signal_price_at, horizon_price, horizon_price_at, price_source,
            forward_return, hold_band, hit, brier, regime) = 0
        ELSE num_nonnulls(forward_return, hit, brier) = 0
    END),
    -- Nobody looks ahead.
    CHECK (signal_price_at <= created_at AND horizon_price_at <= horizon_at)
);
CREATE INDEX signal_outcomes_created ON signal_outcomes (tenant_id, created_at DESC);
-- Those that are settled: of agents that look far ahead the newest of months wait.
CREATE INDEX signal_outcomes_settled ON signal_outcomes (tenant_id, created_at DESC, id DESC)
    WHERE status <> 'pending';
CREATE INDEX signal_outcomes_agent ON signal_outcomes (tenant_id, agent, created_at DESC, id DESC)
    WHERE status <> 'pending';
CREATE INDEX signal_outcomes_symbol ON signal_outcomes (tenant_id, symbol, agent, created_at DESC, id DESC)
    WHERE status <> 'pending';
CREATE INDEX signal_outcomes_unscorable ON signal_outcomes (tenant_id, created_at DESC, id DESC)
    WHERE status = 'unscorable';
-- Also for the platform, which steps from one tenant to the next: whose time has come.
CREATE INDEX signal_outcomes_waiting ON signal_outcomes (tenant_id, due_at) WHERE status = 'pending';
CREATE INDEX signal_outcomes_pending ON signal_outcomes (tenant_id, agent, symbol) WHERE status = 'pending';
CALL isolate('signal_outcomes');
CREATE POLICY platform_scoring ON signal_outcomes FOR SELECT TO alphapulse_platform USING (status = 'pending');
GRANT SELECT ON signal_outcomes TO alphapulse_readonly;
GRANT SELECT, INSERT ON signal_outcomes TO alphapulse_app;
GRANT UPDATE (due_at, status, reason, signal_price, signal_price_at, horizon_price, horizon_price_at, price_source,
    forward_return, hold_band, hit, brier, regime, scored_at) ON signal_outcomes TO alphapulse_app;
GRANT SELECT (tenant_id, status, due_at) ON signal_outcomes TO alphapulse_platform;

-- No signal can be stored that is not scored one day.
CREATE FUNCTION await_outcome() RETURNS trigger
LANGUAGE plpgsql SET search_path = alphapulse, pg_temp
AS $$
BEGIN
    INSERT INTO signal_outcomes (tenant_id, id, agent, symbol, interval, agent_version, signal, confidence,
        horizon_at, due_at, created_at)
    VALUES (new.tenant_id, new.id, new.agent, new.symbol, new.interval, new.agent_version, new.signal,
        new.confidence, new.horizon_at, new.horizon_at, new.created_at);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION await_outcome() FROM PUBLIC;
CREATE TRIGGER agent_signals_outcome AFTER INSERT ON agent_signals FOR EACH ROW
    WHEN (NOT new.abstained AND new.horizon_at IS NOT NULL AND new.interval IS NOT NULL)
    EXECUTE FUNCTION await_outcome();

-- Sums over the outcomes, kept in the transactions that score them; they can be made again from those.
CREATE TABLE agent_track_records (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    agent text NOT NULL CHECK (agent IN
        ('technical', 'fundamental', 'sentiment', 'value', 'activist', 'buffett')),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    interval text NOT NULL CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    -- Unknown where the bars could not tell, and of all that could not be scored.
    regime text NOT NULL CHECK (regime IN ('trending_up', 'trending_down', 'ranging', 'volatile', 'unknown')),
    -- Of the prices, so that simulated ones never pass for real ones; none of what could not be scored.
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 100),
    scored bigint NOT NULL DEFAULT 0 CHECK (scored >= 0),
    unscorable bigint NOT NULL DEFAULT 0 CHECK (unscorable >= 0),
    hits bigint NOT NULL DEFAULT 0 CHECK (hits BETWEEN 0 AND scored),
    forward_return_sum numeric NOT NULL DEFAULT 0,
    -- Of buys as it is, of sells turned round, of holds nothing.
    directed_return_sum numeric NOT NULL DEFAULT 0,
    confidence_sum numeric NOT NULL DEFAULT 0,
    brier_sum numeric NOT NULL DEFAULT 0 CHECK (brier_sum BETWEEN 0 AND scored),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, agent, symbol, interval, regime, source)
);
CREATE INDEX agent_track_records_created ON agent_track_records (tenant_id, created_at DESC);
CALL isolate('agent_track_records');
GRANT SELECT ON agent_track_records TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON agent_track_records TO alphapulse_app;

-- section: 0017_backtests

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

-- section: 0018_auto_trade

-- The settings below say more than a yes or no.
ALTER TABLE tenant_configs DROP COLUMN auto_trade;

CREATE TABLE auto_trade_settings (
    tenant_id uuid NOT NULL UNIQUE REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    enabled boolean NOT NULL DEFAULT false,
    exchange text NOT NULL DEFAULT 'paper' CHECK (exchange ~ '^[a-z][a-z0-9_]{1,31}$'),
    -- Who said that real money may be used, on this very exchange; another exchange needs another word.
    confirmed_at timestamptz,
    confirmed_by uuid,
    -- Empty: every symbol a consensus is reached on.
    symbols text[] NOT NULL DEFAULT '{}' CHECK (cardinality(symbols) <= 100),
    min_score numeric(7,6) NOT NULL CHECK (min_score BETWEEN 0.2 AND 1),
    position_pct numeric(5,2) NOT NULL CHECK (position_pct BETWEEN 0.1 AND 100),
    cooldown_seconds integer NOT NULL CHECK (cooldown_seconds BETWEEN 0 AND 604800),
    max_orders_per_day integer NOT NULL CHECK (max_orders_per_day BETWEEN 1 AND 1000),
    -- Set when a loss limit refused an order; switching automatic trading on again lifts it.
    halted_at timestamptz,
    halt_reason text,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (NOT enabled OR exchange = 'paper' OR confirmed_at IS NOT NULL),
    CHECK ((halted_at IS NULL) = (halt_reason IS NULL))
);
CREATE INDEX auto_trade_settings_created ON auto_trade_settings (tenant_id, created_at DESC);
CALL isolate('auto_trade_settings');
GRANT SELECT ON auto_trade_settings TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON auto_trade_settings TO alphapulse_app;

-- One row per consensus that says to buy or sell while auto-trading is on. The order itself is found by its
-- client order id, which follows from the consensus, so that no consensus is traded twice.
CREATE TABLE auto_trade_decisions (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    consensus_id uuid NOT NULL,
    run_id uuid NOT NULL,
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    signal text NOT NULL CHECK (signal IN ('buy', 'sell')),
    score numeric(9,6) NOT NULL CHECK (score BETWEEN -1 AND 1),
    settings_version integer NOT NULL,
    decision text NOT NULL CHECK (decision IN ('order', 'none')),
    -- Why there is no order: a stable code and a sentence.
    reason_code text,
    reason text,
    exchange text NOT NULL,
    side text CHECK (side IN ('buy', 'sell')),
    quantity numeric(38,18) CHECK (quantity > 0),
    client_order_id text,
    -- What trade said when it did not place the order.
    refusal_code text,
    refusal text,
    refused_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, consensus_id),
    CHECK (CASE decision
        WHEN 'order' THEN side IS NOT NULL AND quantity IS NOT NULL AND client_order_id IS NOT NULL
        ELSE reason_code IS NOT NULL AND reason IS NOT NULL
    END)
);
CREATE INDEX auto_trade_decisions_created ON auto_trade_decisions (tenant_id, created_at DESC);
CREATE INDEX auto_trade_decisions_orders ON auto_trade_decisions (tenant_id, symbol, created_at DESC)
    WHERE decision = 'order';
CALL isolate('auto_trade_decisions');
GRANT SELECT ON auto_trade_decisions TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON auto_trade_decisions TO alphapulse_app;
