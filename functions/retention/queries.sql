-- One query per table: at most :batch rows that are older than :age. The ORDER BY makes the planner walk the
-- index by age also with a generic plan. The age is asked for again outside, because a row that has changed
-- meanwhile is not the one that was chosen.

-- name: processed_events!
DELETE FROM processed_events
WHERE processed_at < now() - CAST(:age AS interval) AND ctid = ANY(ARRAY(
    SELECT ctid FROM processed_events
    WHERE processed_at < now() - CAST(:age AS interval)
    ORDER BY processed_at
    LIMIT :batch
));

-- name: platform_processed_events!
DELETE FROM platform_processed_events
WHERE processed_at < now() - CAST(:age AS interval) AND ctid = ANY(ARRAY(
    SELECT ctid FROM platform_processed_events
    WHERE processed_at < now() - CAST(:age AS interval)
    ORDER BY processed_at
    LIMIT :batch
));

-- name: idempotency_keys!
DELETE FROM idempotency_keys
WHERE created_at < now() - CAST(:age AS interval) AND ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys
    WHERE created_at < now() - CAST(:age AS interval) AND (locked_until IS NULL OR locked_until < now())
    ORDER BY created_at
    LIMIT :batch
));

-- name: sessions!
-- A token that was rotated away stays as long as any of its family may be used: should it come back, the
-- whole login ends.
DELETE FROM sessions
WHERE expires_at < now() - CAST(:age AS interval) AND ctid = ANY(ARRAY(
    SELECT s.ctid FROM sessions s
    WHERE s.expires_at < now() - CAST(:age AS interval) AND NOT EXISTS (
        SELECT FROM sessions young
        WHERE young.tenant_id = s.tenant_id AND young.family_id = s.family_id
            AND young.expires_at >= now() - CAST(:age AS interval)
    )
    ORDER BY s.expires_at
    LIMIT :batch
));

-- name: one_time_tokens!
DELETE FROM one_time_tokens
WHERE expires_at < now() - CAST(:age AS interval) AND ctid = ANY(ARRAY(
    SELECT ctid FROM one_time_tokens
    WHERE expires_at < now() - CAST(:age AS interval)
    ORDER BY expires_at
    LIMIT :batch
));

-- name: login_throttles!
DELETE FROM login_throttles
WHERE last_attempt_at < now() - CAST(:age AS interval) AND ctid = ANY(ARRAY(
    SELECT ctid FROM login_throttles
    WHERE last_attempt_at < now() - CAST(:age AS interval) AND (locked_until IS NULL OR locked_until < now())
    ORDER BY last_attempt_at
    LIMIT :batch
));

-- name: evidence_snapshots!
-- Counted from the last day that a signal was made from it; a signal that names it afterwards can no longer be
-- made again, and says so.
DELETE FROM evidence_snapshots
WHERE used_on < CAST(now() - CAST(:age AS interval) AS date) AND digest = ANY(ARRAY(
    SELECT digest FROM evidence_snapshots
    WHERE used_on < CAST(now() - CAST(:age AS interval) AS date)
    ORDER BY used_on
    LIMIT :batch
));
