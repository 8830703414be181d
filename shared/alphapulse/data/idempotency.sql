-- name: claim^
-- The lock tells a request that runs right now from one that has finished; nobody waits for it.
WITH turn AS (
    SELECT pg_try_advisory_xact_lock(
        hashtextextended('idempotency ' || CAST(:tenant_id AS uuid) || ' ' || :key, 0)) AS taken
), fresh AS (
    INSERT INTO idempotency_keys (tenant_id, key, operation, request_hash, locked_until)
    SELECT :tenant_id, :key, :operation, :request_hash, now() + CAST(:lease AS interval)
    FROM turn WHERE turn.taken
    ON CONFLICT DO NOTHING
    RETURNING true AS inserted
)
SELECT turn.taken, (SELECT inserted FROM fresh) AS inserted FROM turn;

-- name: earlier^
SELECT request_hash, response_status, response_headers, response_body,
    locked_until > now() AS locked
FROM idempotency_keys
WHERE tenant_id = :tenant_id AND key = :key;

-- name: take_over!
UPDATE idempotency_keys SET locked_until = now() + CAST(:lease AS interval)
WHERE tenant_id = :tenant_id AND key = :key AND response_status IS NULL;

-- name: store!
UPDATE idempotency_keys
SET response_status = :status, response_headers = :headers, response_body = :body,
    completed_at = now(), locked_until = NULL
WHERE tenant_id = :tenant_id AND key = :key AND response_status IS NULL;

-- name: release!
DELETE FROM idempotency_keys WHERE tenant_id = :tenant_id AND key = :key AND response_status IS NULL;

-- name: forget_before!
DELETE FROM idempotency_keys WHERE tenant_id = :tenant_id AND created_at < :before;
