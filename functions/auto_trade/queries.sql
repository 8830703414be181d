-- name: settings^
SELECT version, enabled, exchange, symbols, min_score, position_pct, cooldown_seconds, max_orders_per_day, halted_at
FROM auto_trade_settings
WHERE tenant_id = :tenant_id;

-- name: lock_settings^
-- Decisions of a tenant follow one another, so that cooldown and orders of the day hold for all together.
SELECT version, enabled, exchange, symbols, min_score, position_pct, cooldown_seconds, max_orders_per_day, halted_at
FROM auto_trade_settings
WHERE tenant_id = :tenant_id
FOR UPDATE;

-- name: trading_halted$
SELECT trading_halted FROM tenant_configs WHERE tenant_id = :tenant_id;

-- name: earlier_orders^
-- Without those that were refused: what was never placed holds nothing back.
SELECT
    (
        SELECT max(created_at) FROM auto_trade_decisions
        WHERE tenant_id = :tenant_id AND symbol = :symbol AND decision = 'order' AND refused_at IS NULL
    ) AS last_order_at,
    (
        SELECT count(*) FROM auto_trade_decisions
        WHERE tenant_id = :tenant_id AND decision = 'order' AND refused_at IS NULL AND created_at >= :day
    ) AS orders_today;

-- name: on_their_way^
-- Orders that were asked for and that trade has neither committed nor refused yet.
SELECT
    coalesce(sum(d.quantity) FILTER (WHERE d.side = 'buy'), 0) AS being_bought,
    coalesce(sum(d.quantity) FILTER (WHERE d.side = 'sell'), 0) AS being_sold
FROM auto_trade_decisions d
WHERE d.tenant_id = :tenant_id AND d.symbol = :symbol AND d.decision = 'order' AND d.refused_at IS NULL
    AND d.created_at > :since
    AND NOT EXISTS (
        SELECT FROM trades t WHERE t.tenant_id = :tenant_id AND t.client_order_id = d.client_order_id
    );

-- name: consensus^
-- What was reached, as the database has it: an event is only told, a row is known.
SELECT symbol, signal, score, quorum, created_at
FROM consensus_signals
WHERE tenant_id = :tenant_id AND id = :consensus_id;

-- name: insert_decision^
-- Returns nothing when the consensus was decided on before.
INSERT INTO auto_trade_decisions
    (tenant_id, id, consensus_id, run_id, symbol, signal, score, settings_version, decision, reason_code, reason,
    exchange, side, quantity, client_order_id, created_at)
VALUES
    (:tenant_id, :id, :consensus_id, :run_id, :symbol, :signal, :score, :settings_version, :decision,
    :reason_code, :reason, :exchange, :side, :quantity, :client_order_id, :created_at)
ON CONFLICT (tenant_id, consensus_id) DO NOTHING
RETURNING id;

-- name: refuse!
UPDATE auto_trade_decisions
SET refusal_code = :code, refusal = :detail, refused_at = :now
WHERE tenant_id = :tenant_id AND id = :id AND decision = 'order' AND refused_at IS NULL;

-- name: halt!
UPDATE auto_trade_settings
SET halted_at = :now, halt_reason = :reason, updated_at = :now
WHERE tenant_id = :tenant_id AND halted_at IS NULL;
