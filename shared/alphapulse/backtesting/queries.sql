-- Market data belongs to no tenant, so there is no tenant predicate.

-- name: candles
-- Oldest first.
SELECT open_time, open, high, low, close, volume, source
FROM candles
WHERE exchange = :exchange AND symbol = :symbol AND interval = :interval
    AND (CAST(:first_open AS timestamptz) IS NULL OR open_time >= :first_open)
    AND (CAST(:last_open AS timestamptz) IS NULL OR open_time <= :last_open)
ORDER BY open_time
LIMIT :row_limit;

-- name: candles_before
-- Newest first.
SELECT open_time, open, high, low, close, volume, source
FROM candles
WHERE exchange = :exchange AND symbol = :symbol AND interval = :interval AND open_time < :before
ORDER BY open_time DESC
LIMIT :row_limit;

-- name: count_candles$
SELECT count(*)
FROM (
    SELECT FROM candles
    WHERE exchange = :exchange AND symbol = :symbol AND interval = :interval
        AND (CAST(:first_open AS timestamptz) IS NULL OR open_time >= :first_open)
        AND (CAST(:last_open AS timestamptz) IS NULL OR open_time <= :last_open)
    LIMIT :row_limit
) AS found;
