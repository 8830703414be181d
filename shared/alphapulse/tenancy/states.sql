-- name: change_status$
UPDATE tenants SET
    status = :status,
    status_reason = :reason,
    activated_at = CASE WHEN :status = 'active' THEN coalesce(activated_at, :now) ELSE activated_at END,
    suspended_at = CASE :status WHEN 'suspended' THEN CAST(:now AS timestamptz) WHEN 'active' THEN NULL ELSE suspended_at END,
    cancelled_at = CASE :status WHEN 'cancelled' THEN CAST(:now AS timestamptz) WHEN 'active' THEN NULL ELSE cancelled_at END,
    deleted_at = CASE :status WHEN 'deleted' THEN CAST(:now AS timestamptz) ELSE deleted_at END,
    updated_at = :now
WHERE id = :tenant_id AND status = ANY(CAST(:origins AS text[]))
RETURNING status;

-- name: status$
SELECT status FROM tenants WHERE id = :tenant_id;

-- name: hold$
-- As an UPDATE does, so that rows that refer to the tenant can still be written.
SELECT status FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE;

-- name: is_being_deleted$
SELECT EXISTS (
    SELECT FROM provisioning_runs
    WHERE tenant_id = :tenant_id AND kind = 'delete' AND status IN ('running', 'compensating')
);
