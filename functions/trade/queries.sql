-- name: insert_trade^
-- Commits the order and sets aside what it may cost. Returns nothing when the client order id is taken.
WITH placed AS (
    INSERT INTO trades (tenant_id, id, client_order_id, exchange, symbol, side, type, time_in_force, quantity, price,
        reference_price, status, fee_currency, created_by, submitted_at, created_at, updated_at)
    VALUES (:tenant_id, :trade_id, :client_order_id, :exchange, :symbol, :side, :type, :time_in_force, :quantity, :price,
        :reference_price, 'pending_submit', :fee_currency, :created_by, :now, :now, :now)
    ON CONFLICT (tenant_id, client_order_id) DO NOTHING
    RETURNING id, client_order_id, exchange, symbol, side, type, time_in_force, quantity, price, stop_price, status,
        filled_quantity, average_price, fee_amount, fee_currency, reason, created_at, updated_at
), set_aside AS (
    UPDATE balances b SET reserved = b.reserved + CAST(:cost AS numeric), updated_at = :now
    FROM placed
    WHERE b.tenant_id = :tenant_id AND b.exchange = :exchange AND b.currency = :currency
        AND CAST(:cost AS numeric) > 0
)
SELECT id, client_order_id, exchange, symbol, side, type, time_in_force, quantity, price, stop_price, status,
    filled_quantity, average_price, fee_amount, fee_currency, reason, created_at, updated_at,
    CAST('[]' AS jsonb) AS executions
FROM placed;

-- name: trade_of_client_order_id$
SELECT id FROM trades WHERE tenant_id = :tenant_id AND client_order_id = :client_order_id;

-- name: trades
SELECT t.id, t.client_order_id, t.exchange, t.symbol, t.side, t.type, t.time_in_force, t.quantity, t.price,
    t.stop_price, t.status, t.filled_quantity, t.average_price, t.fee_amount, t.fee_currency, t.reason,
    t.created_at, t.updated_at,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', e.execution_id, 'quantity', e.quantity::text, 'price', e.price::text,
            'fee_amount', e.fee_amount::text, 'fee_currency', e.fee_currency, 'executed_at', e.executed_at)
            ORDER BY e.executed_at, e.id), '[]')
        FROM trade_executions e WHERE e.tenant_id = :tenant_id AND e.trade_id = t.id) AS executions
FROM trades t
WHERE t.tenant_id = :tenant_id
    AND (CAST(:symbol AS text) IS NULL OR t.symbol = :symbol)
    AND (CAST(:status AS text) IS NULL OR t.status = :status)
    AND (CAST(:before AS timestamptz) IS NULL OR (t.created_at, t.id) < (:before, CAST(:before_id AS uuid)))
ORDER BY t.created_at DESC, t.id DESC
LIMIT :limit;

-- name: open_trades
SELECT id, exchange
FROM trades
WHERE tenant_id = :tenant_id
    AND status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown')
    AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol)
ORDER BY created_at, id;
