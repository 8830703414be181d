-- name: open_books!
-- All of it or nothing; a repetition finds it there.
WITH settings AS (
    INSERT INTO tenant_configs (tenant_id, created_at, updated_at) VALUES (:tenant_id, :now, :now)
    ON CONFLICT DO NOTHING
), limits AS (
    INSERT INTO risk_limits (tenant_id, max_leverage, created_at, updated_at)
    VALUES (:tenant_id, :max_leverage, :now, :now)
    ON CONFLICT DO NOTHING
), portfolio AS (
    INSERT INTO portfolios (tenant_id, currency, starting_equity, peak_equity, day_start_equity, created_at, updated_at)
    VALUES (:tenant_id, 'USD', :cash, :cash, :cash, :now, :now)
    ON CONFLICT DO NOTHING
), snapshot AS (
    INSERT INTO portfolio_history (tenant_id, at, currency, equity, cash, realised_pnl, unrealised_pnl)
    VALUES (:tenant_id, :now, 'USD', :cash, :cash, 0, 0)
    ON CONFLICT DO NOTHING
)
INSERT INTO balances (tenant_id, exchange, currency, amount, created_at, updated_at)
VALUES (:tenant_id, 'paper', 'USD', :cash, :now, :now)
ON CONFLICT DO NOTHING;
