-- name: charge^
-- Counts an attempt and keeps its row locked: attempts at once follow one another.
INSERT INTO login_throttles AS t (key, attempts, last_attempt_at) VALUES (:key, 1, :now)
ON CONFLICT (key) DO UPDATE SET attempts = t.attempts + 1
RETURNING t.attempts, t.locked_until, t.last_attempt_at;

-- name: admit!
UPDATE login_throttles SET attempts = :attempts, locked_until = :locked_until, last_attempt_at = :now
WHERE key = :key;

-- name: locked_until$
SELECT locked_until FROM login_throttles WHERE key = :key AND locked_until > :now;

-- name: is_known$
-- Whether the account's user has logged in from there. An address without an account is looked up among the
-- logins of nobody, so that both take the same probes of the same indexes.
SELECT EXISTS (
    SELECT FROM sessions s
    WHERE s.tenant_id = coalesce(u.tenant_id, CAST('00000000-0000-0000-0000-000000000000' AS uuid))
        AND s.user_id = coalesce(u.id, CAST('00000000-0000-0000-0000-000000000000' AS uuid))
        AND s.address = :address AND s.created_at > :since)
FROM (SELECT 1) AS one LEFT JOIN users u ON lower(u.email) = lower(:email);

-- name: addresses
SELECT DISTINCT address FROM sessions
WHERE tenant_id = :tenant_id AND user_id = :user_id AND address IS NOT NULL;

-- name: refund!
UPDATE login_throttles SET attempts = greatest(attempts - 1, 0) WHERE key = :key;

-- name: clear!
DELETE FROM login_throttles WHERE key = :key;

-- name: clear_all!
DELETE FROM login_throttles WHERE key = ANY(:keys);

-- name: report$
-- The attempts so far, at most once a minute.
UPDATE login_throttles SET reported_at = :now
WHERE key = :key AND (reported_at IS NULL OR reported_at < :earlier)
RETURNING attempts;

-- name: sweep!
DELETE FROM login_throttles WHERE key IN (
    SELECT key FROM login_throttles WHERE last_attempt_at < :before
    ORDER BY last_attempt_at LIMIT 20 FOR UPDATE SKIP LOCKED);
