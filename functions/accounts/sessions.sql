-- name: insert_session!
INSERT INTO sessions (tenant_id, id, user_id, family_id, token_hash, client, address, csrf_hash, created_at, expires_at)
VALUES (:tenant_id, :session_id, :user_id, :family_id, :token_hash, :client, :address, :csrf_hash, :now, :expires_at);

-- name: lock_family$
-- Uses of one login follow one another: a token that is being issued must not escape a revocation.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('session family ' || family_id, 0)) AS text)
FROM sessions WHERE token_hash = :token_hash;

-- name: session^
SELECT s.tenant_id, s.id, s.user_id, s.family_id, s.expires_at, s.rotated_at, s.revoked_at, s.csrf_hash,
    u.role, t.tier
FROM sessions s
JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
JOIN tenants t ON t.id = s.tenant_id
WHERE s.token_hash = :token_hash AND u.status = 'active' AND t.status <> 'deleted';

-- name: forget_expired!
-- An expired token is refused with or without its row.
DELETE FROM sessions WHERE tenant_id = :tenant_id AND user_id = :user_id AND expires_at < :now;

-- name: rotate_session!
UPDATE sessions SET rotated_at = :now WHERE tenant_id = :tenant_id AND id = :session_id;

-- name: revoke_family$
WITH revoked AS (
    UPDATE sessions SET revoked_at = :now
    WHERE tenant_id = :tenant_id AND user_id = :user_id AND family_id = :family_id AND revoked_at IS NULL
    RETURNING id
)
SELECT count(*) FROM revoked;

-- name: lock_families$
-- As lock_family, for all logins of a user, in one order so that no two revocations wait for each other.
SELECT count(CAST(pg_advisory_xact_lock(hashtextextended('session family ' || f.family_id, 0)) AS text))
FROM (SELECT DISTINCT family_id FROM sessions
    WHERE tenant_id = :tenant_id AND user_id = :user_id AND revoked_at IS NULL
    ORDER BY family_id) AS f;

-- name: revoke_others$
WITH revoked AS (
    UPDATE sessions SET revoked_at = :now
    WHERE tenant_id = :tenant_id AND user_id = :user_id AND revoked_at IS NULL
        AND family_id IS DISTINCT FROM :kept_family
    RETURNING family_id
)
SELECT count(DISTINCT family_id) FROM revoked;

-- name: of_user
-- One row per login: where it began, and the newest of its tokens.
SELECT family_id AS id, min(created_at) AS created_at, max(created_at) AS last_used_at,
    max(expires_at) AS expires_at,
    (array_agg(client ORDER BY created_at DESC, id DESC))[1] AS client,
    (array_agg(address ORDER BY created_at DESC, id DESC))[1] AS address
FROM sessions
WHERE tenant_id = :tenant_id AND user_id = :user_id AND revoked_at IS NULL
GROUP BY family_id
HAVING max(expires_at) > :now
ORDER BY max(created_at) DESC;
