-- name: try_lock$
SELECT pg_try_advisory_xact_lock(hashtextextended('track_records ' || CAST(:tenant_id AS uuid), 0));

-- name: lock$
SELECT CAST(pg_advisory_xact_lock(hashtextextended('track_records ' || CAST(:tenant_id AS uuid), 0)) AS text);

-- name: add!
INSERT INTO agent_track_records AS r
    (tenant_id, agent, symbol, interval, regime, source, scored, unscorable, hits, forward_return_sum, directed_return_sum,
    confidence_sum, brier_sum, created_at, updated_at)
SELECT :tenant_id, a.agent, a.symbol, a.interval, a.regime, a.source, a.scored, a.unscorable, a.hits, a.forward_return_sum,
    a.directed_return_sum, a.confidence_sum, a.brier_sum, :now, :now
FROM unnest(
    CAST(:agents AS text[]), CAST(:symbols AS text[]), CAST(:intervals AS text[]), CAST(:regimes AS text[]),
    CAST(:sources AS text[]),
    CAST(:scored AS bigint[]), CAST(:unscorable AS bigint[]), CAST(:hits AS bigint[]),
    CAST(:forward_return_sum AS numeric[]), CAST(:directed_return_sum AS numeric[]),
    CAST(:confidence_sum AS numeric[]), CAST(:brier_sum AS numeric[])
) AS a (agent, symbol, interval, regime, source, scored, unscorable, hits, forward_return_sum, directed_return_sum,
    confidence_sum, brier_sum)
ON CONFLICT (tenant_id, agent, symbol, interval, regime, source) DO UPDATE
SET scored = r.scored + excluded.scored,
    unscorable = r.unscorable + excluded.unscorable,
    hits = r.hits + excluded.hits,
    forward_return_sum = r.forward_return_sum + excluded.forward_return_sum,
    directed_return_sum = r.directed_return_sum + excluded.directed_return_sum,
    confidence_sum = r.confidence_sum + excluded.confidence_sum,
    brier_sum = r.brier_sum + excluded.brier_sum,
    updated_at = excluded.updated_at;

-- name: kept
SELECT agent, symbol, interval, regime, source, scored, unscorable, hits, forward_return_sum, directed_return_sum,
    confidence_sum, brier_sum
FROM agent_track_records
WHERE tenant_id = :tenant_id AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol);

-- name: recomputed
SELECT agent, symbol, interval, coalesce(regime, 'unknown') AS regime,
    coalesce(price_source, 'none') AS source,
    count(*) FILTER (WHERE status = 'scored') AS scored,
    count(*) FILTER (WHERE status = 'unscorable') AS unscorable,
    count(*) FILTER (WHERE hit) AS hits,
    coalesce(sum(forward_return), 0) AS forward_return_sum,
    coalesce(sum(CASE signal WHEN 'buy' THEN forward_return WHEN 'sell' THEN -forward_return ELSE 0 END), 0)
        AS directed_return_sum,
    coalesce(sum(round(CAST(confidence AS numeric), 6)) FILTER (WHERE status = 'scored'), 0) AS confidence_sum,
    coalesce(sum(brier), 0) AS brier_sum
FROM signal_outcomes
WHERE tenant_id = :tenant_id AND status <> 'pending'
GROUP BY agent, symbol, interval, coalesce(regime, 'unknown'), coalesce(price_source, 'none');

-- name: clear!
DELETE FROM agent_track_records WHERE tenant_id = :tenant_id;
