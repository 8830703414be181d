-- Market data belongs to no tenant, so there is no tenant predicate.

-- name: instruments
-- Instruments in alphabetical order after a symbol.
SELECT symbol, tick, lot, min_notional, status, source
FROM instruments
WHERE exchange = :exchange AND symbol > :after
ORDER BY symbol
LIMIT :row_limit;

-- name: known_symbols
SELECT symbol
FROM instruments
WHERE exchange = :exchange AND status = 'trading' AND symbol = ANY(CAST(:symbols AS text[]));

-- name: newest_candles
-- Newest first.
SELECT open_time, open, high, low, close, volume, source
FROM candles
WHERE exchange = :exchange AND symbol = :symbol AND interval = :interval
ORDER BY open_time DESC
LIMIT :row_limit;

-- name: available_intervals
SELECT i.interval
FROM unnest(CAST(:intervals AS text[])) WITH ORDINALITY AS i (interval, place)
WHERE EXISTS (
    SELECT FROM candles c
    WHERE c.exchange = :exchange AND c.symbol = :symbol AND c.interval = i.interval
)
ORDER BY i.place;

-- name: newest_bar^
SELECT open_time, close, source
FROM candles
WHERE exchange = :exchange AND symbol = :symbol AND interval = :interval
ORDER BY open_time DESC
LIMIT 1;

-- name: delete_series!
DELETE FROM candles
WHERE exchange = :exchange AND symbol = :symbol AND interval = :interval;

-- name: upsert_candles^
-- Bars that are there already, unchanged, do not count. Figures come as text, which the driver sends three
-- times as fast as numbers.
WITH changed AS (
    INSERT INTO candles AS c
        (exchange, symbol, interval, open_time, open, high, low, close, volume, source, updated_at)
    SELECT :exchange, :symbol, :interval, n.open_time, CAST(n.open AS numeric), CAST(n.high AS numeric),
        CAST(n.low AS numeric), CAST(n.close AS numeric), CAST(n.volume AS numeric), :source, :updated_at
    FROM unnest(
        CAST(:open_times AS timestamptz[]), CAST(:opens AS text[]), CAST(:highs AS text[]),
        CAST(:lows AS text[]), CAST(:closes AS text[]), CAST(:volumes AS text[])
    ) AS n (open_time, open, high, low, close, volume)
    ON CONFLICT (exchange, symbol, interval, open_time) DO UPDATE
    SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, source = excluded.source, updated_at = excluded.updated_at
    WHERE (c.open, c.high, c.low, c.close, c.volume, c.source)
        IS DISTINCT FROM
        (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.source)
    RETURNING c.open_time
)
SELECT count(*) AS bars, min(open_time) AS first, max(open_time) AS last FROM changed;

-- name: upsert_instrument!
INSERT INTO instruments AS i
    (exchange, symbol, base, quote, tick, lot, min_notional, status, source, updated_at)
VALUES
    (:exchange, :symbol, :base, :quote, :tick, :lot, :min_notional, 'trading', :source, :updated_at)
ON CONFLICT (exchange, symbol) DO UPDATE
SET tick = excluded.tick, lot = excluded.lot, min_notional = excluded.min_notional,
    status = excluded.status, source = excluded.source, updated_at = excluded.updated_at
WHERE (i.tick, i.lot, i.min_notional, i.status, i.source)
    IS DISTINCT FROM
    (excluded.tick, excluded.lot, excluded.min_notional, excluded.status, excluded.source);

-- name: halt_missing
-- Instruments that the source no longer has get no new prices.
UPDATE instruments
SET status = 'halted', updated_at = :updated_at
WHERE exchange = :exchange AND status = 'trading' AND NOT symbol = ANY(CAST(:symbols AS text[]))
RETURNING symbol;
