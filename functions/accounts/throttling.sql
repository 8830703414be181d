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

-- name: refund!
UPDATE login_throttles SET attempts = greatest(attempts - 1, 0) WHERE key = :key;

-- name: clear!
DELETE FROM login_throttles WHERE key = :key;

-- name: report$
-- The attempts so far, at most once a minute.
UPDATE login_throttles SET reported_at = :now
WHERE key = :key AND (reported_at IS NULL OR reported_at < :earlier)
RETURNING attempts;

-- name: sweep!
DELETE FROM login_throttles WHERE key IN (
    SELECT key FROM login_throttles WHERE last_attempt_at < :before
    ORDER BY last_attempt_at LIMIT 20 FOR UPDATE SKIP LOCKED);
