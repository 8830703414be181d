-- Trading on a consensus: what a tenant allows, and what was decided on each one.

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
