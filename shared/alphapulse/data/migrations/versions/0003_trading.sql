-- Trades, positions, balances, the paper book.

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
