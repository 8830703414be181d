-- name: insert_tenant!
INSERT INTO tenants (id, company, tier, status, trial_ends_at, created_at, updated_at)
VALUES (:tenant_id, :company, :tier, 'pending', :trial_ends_at, :now, :now);

-- name: insert_owner^
-- Returns nothing when the address has an account already.
INSERT INTO users (tenant_id, id, email, password_hash, role, created_at, updated_at)
VALUES (:tenant_id, :user_id, :email, :password_hash, 'owner', :now, :now)
ON CONFLICT (lower(email)) DO NOTHING
RETURNING id;

-- name: owner_of_email^
SELECT tenant_id, password_hash FROM users WHERE lower(email) = lower(:email);

-- name: tenant_status^
SELECT status, status_reason, tier FROM tenants WHERE id = :tenant_id;

-- name: latest_run^
SELECT id, kind, status, error, deadline_at, created_at AS started_at, finished_at, report
FROM provisioning_runs WHERE tenant_id = :tenant_id
ORDER BY created_at DESC, id DESC
LIMIT 1;

-- name: steps_of_run
SELECT step, status, attempts, started_at, finished_at, error, detail
FROM provisioning_steps WHERE tenant_id = :tenant_id AND run_id = :run_id
ORDER BY id;
