-- name: append!
-- Sequence, hashes and time are the database's (trigger audit_log_chain).
INSERT INTO audit_log (tenant_id, id, actor_type, actor_id, action, resource_type, resource_id, details, trace_id)
VALUES (:tenant_id, :id, :actor_type, :actor_id, :action, :resource_type, :resource_id, :details, :trace_id);
