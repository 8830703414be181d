-- name: tenants_with_due_signals
-- Of outcomes that wait the platform sees whose they are and when they are due, and nothing else. It steps from
-- each tenant's earliest to the next tenant's, and so does not read all that wait.
WITH RECURSIVE earliest AS (
    (
        SELECT tenant_id, due_at
        FROM signal_outcomes
        WHERE status = 'pending' AND tenant_id > CAST(:after AS uuid)
        ORDER BY tenant_id, due_at
        LIMIT 1
    )
    UNION ALL
    SELECT following.tenant_id, following.due_at
    FROM earliest
    CROSS JOIN LATERAL (
        SELECT tenant_id, due_at
        FROM signal_outcomes
        WHERE status = 'pending' AND tenant_id > earliest.tenant_id
        ORDER BY tenant_id, due_at
        LIMIT 1
    ) AS following
)
SELECT tenant_id
FROM earliest
WHERE due_at <= :due_before
ORDER BY tenant_id
LIMIT :row_limit;

-- name: due
SELECT id, agent, symbol, interval, signal, confidence, horizon_at, created_at
FROM signal_outcomes
WHERE tenant_id = :tenant_id AND status = 'pending' AND due_at <= :due_before
ORDER BY due_at, id
LIMIT :row_limit;

-- name: closes
-- For each symbol, interval and moment the last bar that had closed by then. Market data belongs to no tenant.
SELECT m.place, c.open_time, c.close, c.source, c.updated_at, EXISTS (
    SELECT FROM candles AS later
    WHERE later.exchange = :exchange AND later.symbol = m.symbol AND later.interval = m.interval
        AND later.open_time > c.open_time
) AS followed
FROM unnest(
    CAST(:symbols AS text[]), CAST(:intervals AS text[]), CAST(:last_opens AS timestamptz[])
) WITH ORDINALITY AS m (symbol, interval, last_open, place)
CROSS JOIN LATERAL (
    SELECT open_time, close, source, updated_at
    FROM candles
    WHERE exchange = :exchange AND symbol = m.symbol AND interval = m.interval AND open_time <= m.last_open
    ORDER BY open_time DESC
    LIMIT 1
) AS c;

-- name: bars_until
-- Newest first.
SELECT open_time, open, high, low, close, volume
FROM candles
WHERE exchange = :exchange AND symbol = :symbol AND interval = :interval AND open_time <= :last_open
ORDER BY open_time DESC
LIMIT :row_limit;

-- name: settle_scored
UPDATE signal_outcomes AS o
SET status = 'scored', scored_at = :now, signal_price = s.signal_price, signal_price_at = s.signal_price_at,
    horizon_price = s.horizon_price, horizon_price_at = s.horizon_price_at, price_source = s.price_source,
    forward_return = s.forward_return, hold_band = s.hold_band, hit = s.hit, brier = s.brier, regime = s.regime
FROM unnest(
    CAST(:ids AS uuid[]), CAST(:signal_prices AS numeric[]), CAST(:signal_prices_at AS timestamptz[]),
    CAST(:horizon_prices AS numeric[]), CAST(:horizon_prices_at AS timestamptz[]), CAST(:price_sources AS text[]),
    CAST(:forward_returns AS numeric[]), CAST(:hold_bands AS numeric[]), CAST(:hits AS boolean[]),
    CAST(:briers AS numeric[]), CAST(:regimes AS text[])
) AS s (id, signal_price, signal_price_at, horizon_price, horizon_price_at, price_source, forward_return,
    hold_band, hit, brier, regime)
WHERE o.tenant_id = :tenant_id AND o.id = s.id AND o.status = 'pending'
RETURNING o.id;

-- name: settle_unscorable
UPDATE signal_outcomes AS o
SET status = 'unscorable', scored_at = :now, reason = u.reason
FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS u (id, reason)
WHERE o.tenant_id = :tenant_id AND o.id = u.id AND o.status = 'pending'
RETURNING o.id;

-- name: postpone!
UPDATE signal_outcomes AS o
SET due_at = w.due_at
FROM unnest(CAST(:ids AS uuid[]), CAST(:due_at AS timestamptz[])) AS w (id, due_at)
WHERE o.tenant_id = :tenant_id AND o.id = w.id AND o.status = 'pending';
