-- name: put_snapshot!
INSERT INTO portfolio_history (tenant_id, id, at, currency, equity, cash, realised_pnl, unrealised_pnl, leverage,
    stale, created_at)
VALUES (:tenant_id, :id, :at, :currency, :equity, :cash, :realised_pnl, :unrealised_pnl, :leverage, :stale, :at)
ON CONFLICT (tenant_id, at) DO UPDATE
SET equity = excluded.equity, cash = excluded.cash, realised_pnl = excluded.realised_pnl,
    unrealised_pnl = excluded.unrealised_pnl, leverage = excluded.leverage, stale = excluded.stale;

-- name: raise_peak!
UPDATE portfolios
SET peak_equity = greatest(peak_equity, :equity),
    day_start_equity = CASE WHEN day_start_at < :day THEN :day_start_equity ELSE day_start_equity END,
    day_start_at = greatest(day_start_at, :day),
    updated_at = :now
WHERE tenant_id = :tenant_id AND name = 'main';

-- name: history
-- The last snapshot of each interval; intervals begin at whole multiples since 1970, as candles do.
SELECT bucket, at, equity, cash, realised_pnl, unrealised_pnl, leverage, stale
FROM (
    SELECT DISTINCT ON (date_bin(:width, h.at, TIMESTAMPTZ '1970-01-01 00:00:00+00'))
        date_bin(:width, h.at, TIMESTAMPTZ '1970-01-01 00:00:00+00') AS bucket,
        h.at, h.equity, h.cash, h.realised_pnl, h.unrealised_pnl, h.leverage, h.stale
    FROM portfolio_history h
    WHERE h.tenant_id = :tenant_id AND h.at >= :start AND h.at <= :end
    ORDER BY date_bin(:width, h.at, TIMESTAMPTZ '1970-01-01 00:00:00+00'), h.at DESC
) AS last
ORDER BY bucket;
