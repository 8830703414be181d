-- name: lock_account$
-- One order, fill or cancellation of an account at a time. Taken in a statement of its own: what the
-- one before committed is visible only to statements that begin after it.
SELECT pg_advisory_xact_lock(hashtextextended('account ' || CAST(:tenant_id AS uuid) || ' ' || :exchange, 0));

-- name: account^
-- All that limits and figures need, in one round trip; amounts as text, because JSON numbers are floats.
SELECT
    (SELECT coalesce(jsonb_agg(jsonb_build_array(
            p.symbol, p.exchange, p.quantity::text, p.average_price::text, p.realised_pnl::text,
            p.last_price::text, p.price_as_of) ORDER BY p.symbol, p.exchange), '[]')
        FROM positions p WHERE p.tenant_id = :tenant_id) AS positions,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(b.exchange, b.currency, b.amount::text, b.reserved::text)), '[]')
        FROM balances b WHERE b.tenant_id = :tenant_id) AS balances,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(
            t.symbol, t.side, (t.quantity - t.filled_quantity)::text, t.price::text)), '[]')
        FROM trades t
        WHERE t.tenant_id = :tenant_id
            AND t.status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown')) AS open_orders,
    coalesce(
        (SELECT h.equity FROM portfolio_history h
            WHERE h.tenant_id = :tenant_id AND h.at >= :day ORDER BY h.at LIMIT 1),
        (SELECT h.equity FROM portfolio_history h
            WHERE h.tenant_id = :tenant_id AND h.at < :day ORDER BY h.at DESC LIMIT 1),
        o.starting_equity) AS day_start_equity,
    o.peak_equity,
    l.max_position_pct, l.max_leverage, l.daily_loss_pct, l.max_drawdown_pct, l.var_warning_pct,
    l.price_max_age_seconds, l.max_open_positions, t.tier, t.status AS tenant_status, c.limit_overrides,
    coalesce(c.trading_halted, false) AS trading_halted
FROM (SELECT CAST(:tenant_id AS uuid) AS tenant_id) AS self
LEFT JOIN tenants t ON t.id = self.tenant_id AND t.id = :tenant_id
LEFT JOIN tenant_configs c ON c.tenant_id = self.tenant_id AND c.tenant_id = :tenant_id
LEFT JOIN risk_limits l ON l.tenant_id = self.tenant_id AND l.tenant_id = :tenant_id
LEFT JOIN portfolios o ON o.tenant_id = self.tenant_id AND o.tenant_id = :tenant_id AND o.name = 'main';

-- name: trade^
-- With what is held of its symbol, which settling needs.
SELECT t.id, t.client_order_id, t.exchange, t.symbol, t.side, t.type, t.time_in_force, t.quantity, t.price,
    t.stop_price, t.status, t.filled_quantity, t.average_price, t.fee_amount, t.fee_currency, t.reason,
    t.created_at, t.updated_at,
    p.quantity AS held, p.average_price AS cost, p.realised_pnl,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', e.execution_id, 'quantity', e.quantity::text, 'price', e.price::text,
            'fee_amount', e.fee_amount::text, 'fee_currency', e.fee_currency, 'executed_at', e.executed_at)
            ORDER BY e.executed_at, e.id), '[]')
        FROM trade_executions e WHERE e.tenant_id = :tenant_id AND e.trade_id = t.id) AS executions
FROM trades t
LEFT JOIN positions p ON p.tenant_id = :tenant_id AND p.exchange = t.exchange AND p.symbol = t.symbol
WHERE t.tenant_id = :tenant_id AND t.id = :trade_id;

-- name: book!
-- Fills, position, status and cash of one order in one round trip. What the account's open buys may still
-- cost is computed anew each time, so that it cannot drift; this order counts as it is afterwards.
WITH fills AS (
    INSERT INTO trade_executions (tenant_id, id, trade_id, execution_id, quantity, price, fee_amount, fee_currency,
        executed_at, created_at)
    SELECT :tenant_id, f.id, :trade_id, f.execution_id, f.quantity, f.price, f.fee_amount, f.fee_currency,
        f.executed_at, :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:execution_ids AS text[]), CAST(:quantities AS numeric[]),
        CAST(:prices AS numeric[]), CAST(:fee_amounts AS numeric[]), CAST(:fee_currencies AS text[]),
        CAST(:executed_at AS timestamptz[]))
        AS f(id, execution_id, quantity, price, fee_amount, fee_currency, executed_at)
), position AS (
    INSERT INTO positions (tenant_id, id, exchange, symbol, quantity, average_price, realised_pnl, last_price,
        price_as_of, opened_at, created_at, updated_at)
    SELECT :tenant_id, :position_id, :exchange, :symbol, :held, :cost, :realised_pnl, :last_price, :price_as_of,
        :now, :now, :now
    WHERE CAST(:last_price AS numeric) IS NOT NULL
    ON CONFLICT (tenant_id, exchange, symbol) DO UPDATE
    SET quantity = excluded.quantity, average_price = excluded.average_price,
        realised_pnl = excluded.realised_pnl, last_price = excluded.last_price, price_as_of = excluded.price_as_of,
        opened_at = CASE WHEN positions.quantity = 0 THEN excluded.opened_at ELSE positions.opened_at END,
        updated_at = excluded.updated_at
), settled AS (
    UPDATE trades
    SET status = :status, filled_quantity = :filled_quantity, average_price = :average_price,
        fee_amount = :fee_amount, fee_currency = :fee_currency, reason = :reason,
        exchange_order_id = coalesce(:exchange_order_id, exchange_order_id),
        synced_at = :now, updated_at = :now, closed_at = CASE WHEN CAST(:final AS boolean) THEN :now END
    WHERE tenant_id = :tenant_id AND id = :trade_id
)
INSERT INTO balances (tenant_id, id, exchange, currency, amount, reserved, created_at, updated_at)
SELECT :tenant_id, :balance_id, :exchange, :currency, :change, coalesce(round(sum(
        (t.quantity - CASE WHEN t.id = :trade_id THEN :filled_quantity ELSE t.filled_quantity END)
        * coalesce(t.price, t.reference_price) * (1 + CAST(:cost_rate AS numeric))), 18), 0), :now, :now
FROM trades t
WHERE t.tenant_id = :tenant_id AND t.exchange = :exchange AND t.side = 'buy'
    AND t.status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown')
    AND NOT (t.id = :trade_id AND CAST(:final AS boolean))
ON CONFLICT (tenant_id, exchange, currency) DO UPDATE
SET amount = balances.amount + excluded.amount, reserved = excluded.reserved, updated_at = excluded.updated_at;

-- name: unsettled
-- Orders to ask the exchange about; one that was committed a moment ago is still on its way there.
SELECT t.id
FROM trades t
WHERE t.tenant_id = :tenant_id
    AND t.status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown')
    AND (t.status NOT IN ('new', 'pending_submit') OR t.created_at <= :submitted_before)
ORDER BY t.created_at, t.id;
