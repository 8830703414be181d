-- name: keep!
INSERT INTO call_backlog (tenant_id, id, day, calls) VALUES (:tenant_id, :id, :day, :calls);

-- name: take
-- Of all tenants; of two processes that take at once, each gets rows of its own.
SELECT tenant_id, id, day, calls FROM call_backlog ORDER BY tenant_id, id LIMIT :most FOR UPDATE SKIP LOCKED;

-- name: remove!
DELETE FROM call_backlog WHERE tenant_id = :tenant_id AND id = :id;
