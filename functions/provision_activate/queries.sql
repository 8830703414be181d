-- name: finish_run!
UPDATE provisioning_runs SET status = 'done', finished_at = :now, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :run_id;
