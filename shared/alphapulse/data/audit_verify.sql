-- name: tenants
SELECT id FROM tenants;

-- name: batch
-- The text that a hash covers besides the one before it; the same as in the function audit_hash.
SELECT a.sequence, a.previous_hash, a.hash,
    CAST(jsonb_build_array(
        a.tenant_id, a.id, a.sequence, a.actor_type, a.actor_id, a.action,
        a.resource_type, a.resource_id, a.details, a.trace_id,
        extract(epoch FROM a.created_at)) AS text) AS covered
FROM audit_log a
WHERE a.tenant_id = :tenant_id AND a.sequence > :after
ORDER BY a.sequence LIMIT :limit;
