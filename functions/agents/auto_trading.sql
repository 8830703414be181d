-- name: lock$
-- Two changes of one tenant's settings follow one another.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('auto_trade ' || CAST(:tenant_id AS uuid), 0)) AS text);

-- name: settings^
SELECT id, version, enabled, exchange, confirmed_at, symbols, min_score, position_pct, cooldown_seconds,
    max_orders_per_day, halted_at, halt_reason, updated_at
FROM auto_trade_settings
WHERE tenant_id = :tenant_id;

-- name: has_key$
SELECT EXISTS (
    SELECT FROM tenant_credentials
    WHERE tenant_id = :tenant_id AND exchange = :exchange AND status = 'valid'
);

-- name: store!
INSERT INTO auto_trade_settings
    (tenant_id, id, version, enabled, exchange, confirmed_at, confirmed_by, symbols, min_score, position_pct,
    cooldown_seconds, max_orders_per_day, created_by, created_at, updated_at)
VALUES
    (:tenant_id, :id, 1, :enabled, :exchange, :confirmed_at, :user_id, :symbols, :min_score, :position_pct,
    :cooldown_seconds, :max_orders_per_day, :user_id, :now, :now)
ON CONFLICT (tenant_id) DO UPDATE
SET version = auto_trade_settings.version + 1, enabled = excluded.enabled, exchange = excluded.exchange,
    confirmed_at = excluded.confirmed_at,
    confirmed_by = CASE
        WHEN excluded.confirmed_at IS NOT DISTINCT FROM auto_trade_settings.confirmed_at
            THEN auto_trade_settings.confirmed_by
        ELSE excluded.confirmed_by
    END,
    symbols = excluded.symbols, min_score = excluded.min_score, position_pct = excluded.position_pct,
    cooldown_seconds = excluded.cooldown_seconds, max_orders_per_day = excluded.max_orders_per_day,
    halted_at = CASE WHEN CAST(:lift_halt AS boolean) THEN NULL ELSE auto_trade_settings.halted_at END,
    halt_reason = CASE WHEN CAST(:lift_halt AS boolean) THEN NULL ELSE auto_trade_settings.halt_reason END,
    updated_at = excluded.updated_at;

-- name: decisions
-- With the order, which is known by the id that follows from the consensus.
SELECT d.id, d.consensus_id, d.run_id, d.symbol, d.signal, d.score, d.settings_version, d.decision,
    d.reason_code, d.reason, d.exchange, d.side, d.quantity, d.refusal_code, d.refusal, d.created_at,
    t.id AS trade_id, t.status AS trade_status
FROM auto_trade_decisions d
LEFT JOIN trades t ON t.tenant_id = :tenant_id AND t.client_order_id = d.client_order_id
WHERE d.tenant_id = :tenant_id
    AND (CAST(:symbol AS text) IS NULL OR d.symbol = :symbol)
    AND (CAST(:before_at AS timestamptz) IS NULL OR (d.created_at, d.id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY d.created_at DESC, d.id DESC
LIMIT :row_limit;
