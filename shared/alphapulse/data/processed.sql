-- name: claim_for_tenant$
INSERT INTO processed_events (tenant_id, consumer, source, event_id)
VALUES (:tenant_id, :consumer, :source, :event_id)
ON CONFLICT DO NOTHING
RETURNING true;

-- name: reply_for_tenant$
SELECT reply FROM processed_events
WHERE tenant_id = :tenant_id AND consumer = :consumer AND source = :source AND event_id = :event_id;

-- name: store_for_tenant!
UPDATE processed_events SET reply = :reply
WHERE tenant_id = :tenant_id AND consumer = :consumer AND source = :source AND event_id = :event_id;

-- name: claim_for_platform$
INSERT INTO platform_processed_events (consumer, source, event_id)
VALUES (:consumer, :source, :event_id)
ON CONFLICT DO NOTHING
RETURNING true;

-- name: reply_for_platform$
SELECT reply FROM platform_processed_events
WHERE consumer = :consumer AND source = :source AND event_id = :event_id;

-- name: store_for_platform!
UPDATE platform_processed_events SET reply = :reply
WHERE consumer = :consumer AND source = :source AND event_id = :event_id;
