-- name: insert_order^
-- With its fill, if it has one. Returns nothing when the client order id is taken: a repeated order is the
-- first one again.
WITH placed AS (
    INSERT INTO paper_orders (tenant_id, id, client_order_id, symbol, side, type, time_in_force, quantity, price,
        status, filled_quantity, average_price, fee_amount, fee_currency, reason, matched_until, created_at, updated_at)
    VALUES (:tenant_id, :order_id, :client_order_id, :symbol, :side, :type, :time_in_force, :quantity, :price,
        :status, :filled_quantity, :average_price, :fee_amount, :fee_currency, :reason, :now, :now, :now)
    ON CONFLICT (tenant_id, client_order_id) DO NOTHING
    RETURNING id, filled_quantity, average_price, fee_amount, fee_currency
), filled AS (
    INSERT INTO paper_fills (tenant_id, id, order_id, quantity, price, fee_amount, fee_currency, liquidity, filled_at)
    SELECT :tenant_id, :fill_id, id, filled_quantity, average_price, fee_amount, fee_currency, 'taker', :now
    FROM placed WHERE filled_quantity > 0
)
SELECT id FROM placed;

-- name: insert_fill!
INSERT INTO paper_fills (tenant_id, id, order_id, quantity, price, fee_amount, fee_currency, liquidity, filled_at)
VALUES (:tenant_id, :fill_id, :order_id, :quantity, :price, :fee_amount, :fee_currency, 'maker', :filled_at);

-- name: order_by_client_id^
SELECT id, client_order_id, symbol, side, quantity, status, reason
FROM paper_orders
WHERE tenant_id = :tenant_id AND client_order_id = :client_order_id;

-- name: resting
SELECT id, symbol, side, quantity, price, matched_until
FROM paper_orders
WHERE tenant_id = :tenant_id AND status = 'open'
    AND (CAST(:client_order_id AS text) IS NULL OR client_order_id = :client_order_id)
ORDER BY created_at, id;

-- name: open_orders
SELECT id, client_order_id, symbol, side, quantity, status, reason
FROM paper_orders
WHERE tenant_id = :tenant_id AND status = 'open'
ORDER BY created_at, id;

-- name: fills_of
SELECT id, quantity, price, fee_amount, fee_currency, filled_at
FROM paper_fills
WHERE tenant_id = :tenant_id AND order_id = :order_id
ORDER BY filled_at, id;

-- name: close_filled^
UPDATE paper_orders
SET status = 'filled', filled_quantity = :quantity, average_price = :price, fee_amount = :fee_amount,
    matched_until = :matched_until, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :order_id AND status = 'open'
RETURNING id;

-- name: note_matched!
UPDATE paper_orders SET matched_until = greatest(matched_until, :matched_until), updated_at = :now
WHERE tenant_id = :tenant_id AND id = :order_id AND status = 'open';

-- name: cancel!
UPDATE paper_orders SET status = 'cancelled', reason = :reason, updated_at = :now
WHERE tenant_id = :tenant_id AND client_order_id = :client_order_id AND status = 'open';

-- name: movements
-- What the account's fills moved, per symbol and side.
SELECT o.symbol, o.side, sum(f.quantity) AS quantity, sum(f.quantity * f.price) AS notional, sum(f.fee_amount) AS fees
FROM paper_fills f
JOIN paper_orders o ON o.tenant_id = f.tenant_id AND o.id = f.order_id
WHERE f.tenant_id = :tenant_id
GROUP BY o.symbol, o.side
ORDER BY o.symbol, o.side;
