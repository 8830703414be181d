-- name: tenant^
SELECT company, tier FROM tenants WHERE id = :tenant_id;

-- name: owners
SELECT id FROM users WHERE tenant_id = :tenant_id AND role = 'owner' AND status = 'active' ORDER BY id;

-- name: user^
SELECT id, email FROM users WHERE tenant_id = :tenant_id AND id = :user_id AND status <> 'disabled';

-- name: record!
INSERT INTO notifications (tenant_id, id, user_id, channel, kind, subject, body, payload, dedupe_key, created_at)
VALUES (:tenant_id, :id, :user_id, 'email', :kind, :subject, :body, :payload, :dedupe_key, :now)
ON CONFLICT (tenant_id, dedupe_key) DO NOTHING;

-- name: recorded
-- What one cause told, to each of those it is for.
SELECT id, status FROM notifications
WHERE tenant_id = :tenant_id AND dedupe_key = :dedupe_key || ':' || user_id::text
ORDER BY id;

-- name: claim^
UPDATE notifications
SET attempts = attempts + 1, sending_until = :until
WHERE tenant_id = :tenant_id AND id = :id AND status = 'pending'
    AND (sending_until IS NULL OR sending_until <= :now)
RETURNING user_id, kind, payload, attempts;

-- name: status$
SELECT status FROM notifications WHERE tenant_id = :tenant_id AND id = :id;

-- name: settle!
UPDATE notifications
SET status = :status, error = :error, sending_until = NULL,
    sent_at = CASE WHEN :status = 'sent' THEN :now::timestamptz END
WHERE tenant_id = :tenant_id AND id = :id AND status = 'pending';

-- name: give_up!
UPDATE notifications
SET status = 'failed', error = coalesce(error, :error), sending_until = NULL
WHERE tenant_id = :tenant_id AND dedupe_key = :dedupe_key || ':' || user_id::text AND status = 'pending';

-- name: newest
SELECT id, kind, subject, body, created_at, read_at
FROM notifications
WHERE tenant_id = :tenant_id AND user_id = :user_id AND (:before::uuid IS NULL OR id < :before::uuid)
ORDER BY id DESC
LIMIT :limit;
