-- name: page
-- Newest first. Whether a row is as it was written is computed anew, from its text and the row before it.
SELECT a.sequence, a.created_at, a.actor_type, a.actor_id, a.action, a.resource_type, a.resource_id, a.details,
    a.trace_id,
    a.hash = audit_hash(a) AND a.previous_hash = coalesce(
        (SELECT b.hash FROM audit_log b WHERE b.tenant_id = a.tenant_id AND b.sequence = a.sequence - 1),
        CASE WHEN a.sequence = 1 THEN sha256(uuid_send(a.tenant_id)) END,
        '') AS verified
FROM audit_log a
WHERE a.tenant_id = :tenant_id AND (CAST(:before AS bigint) IS NULL OR a.sequence < :before)
ORDER BY a.sequence DESC LIMIT :limit;
