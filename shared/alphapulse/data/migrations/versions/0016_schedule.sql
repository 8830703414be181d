-- Subscriptions to signals, and what became of signals.

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
