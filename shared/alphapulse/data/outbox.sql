-- name: enqueue_for_tenant!
-- Whoever writes the row sends the event right after the commit; the relay waits that long.
INSERT INTO outbox (tenant_id, id, event, next_attempt_at)
VALUES (:tenant_id, :id, :event, now() + :grace)
ON CONFLICT DO NOTHING;

-- name: enqueue_many_for_tenant!
INSERT INTO outbox (tenant_id, id, event, next_attempt_at)
SELECT :tenant_id, e.id, e.event, now() + :grace
FROM unnest(CAST(:ids AS uuid[]), CAST(:events AS jsonb[])) AS e (id, event)
ON CONFLICT DO NOTHING;

-- name: enqueue_for_platform!
INSERT INTO platform_outbox (id, event, next_attempt_at)
VALUES (:id, :event, now() + :grace)
ON CONFLICT DO NOTHING;

-- name: lease_of_tenants
UPDATE outbox AS o
SET attempts = o.attempts + 1, next_attempt_at = now() + :lease
FROM (
    SELECT tenant_id, id FROM outbox
    WHERE next_attempt_at <= now() AND refused_at IS NULL
    ORDER BY next_attempt_at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
) AS due
WHERE o.tenant_id = due.tenant_id AND o.id = due.id
RETURNING o.id, o.event, o.attempts, o.created_at;

-- name: lease_of_platform
UPDATE platform_outbox AS o
SET attempts = o.attempts + 1, next_attempt_at = now() + :lease
FROM (
    SELECT id FROM platform_outbox
    WHERE next_attempt_at <= now() AND refused_at IS NULL
    ORDER BY next_attempt_at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
) AS due
WHERE o.id = due.id
RETURNING o.id, o.event, o.attempts, o.created_at;

-- name: delete_of_tenant!
DELETE FROM outbox WHERE tenant_id = :tenant_id AND id = ANY(:ids);

-- name: delete_of_tenants!
DELETE FROM outbox WHERE id = ANY(:ids);

-- name: delete_of_platform!
DELETE FROM platform_outbox WHERE id = ANY(:ids);

-- name: postpone_of_tenants!
UPDATE outbox SET next_attempt_at = now() + :delay, last_error = :error WHERE id = ANY(:ids);

-- name: postpone_of_platform!
UPDATE platform_outbox SET next_attempt_at = now() + :delay, last_error = :error WHERE id = ANY(:ids);

-- name: refuse_of_tenants!
UPDATE outbox SET refused_at = now(), last_error = :error WHERE id = ANY(:ids);

-- name: refuse_of_platform!
UPDATE platform_outbox SET refused_at = now(), last_error = :error WHERE id = ANY(:ids);

-- name: refused$
SELECT (SELECT count(*) FROM outbox WHERE refused_at IS NOT NULL)
    + (SELECT count(*) FROM platform_outbox WHERE refused_at IS NOT NULL);

-- name: backlog^
-- How much waits, and since when; for metrics and readiness.
SELECT count(*) AS rows, min(created_at) AS oldest
FROM (
    SELECT created_at FROM outbox WHERE refused_at IS NULL
    UNION ALL
    SELECT created_at FROM platform_outbox WHERE refused_at IS NULL
) AS waiting;
