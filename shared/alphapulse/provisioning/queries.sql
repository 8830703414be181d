-- name: insert_run!
INSERT INTO provisioning_runs (tenant_id, id, kind, status, deadline_at, created_at, updated_at)
VALUES (:tenant_id, :run_id, :kind, 'running', :deadline_at, :now, :now);

-- name: insert_step!
INSERT INTO provisioning_steps (tenant_id, id, run_id, step, created_at)
VALUES (:tenant_id, :id, :run_id, :step, :now);

-- name: lock_run^
-- Nobody waits: whoever finds the run taken comes again later.
SELECT r.tenant_id, r.id, r.kind, r.status, r.deadline_at, r.created_at, r.report, t.tier, t.company, t.status AS tenant_status
FROM provisioning_runs r JOIN tenants t ON t.id = r.tenant_id
WHERE r.tenant_id = :tenant_id AND r.id = :run_id
FOR UPDATE OF r SKIP LOCKED;

-- name: run_exists$
SELECT true FROM provisioning_runs WHERE tenant_id = :tenant_id AND id = :run_id;

-- name: tenant_status$
SELECT status FROM tenants WHERE id = :tenant_id;

-- name: hold_tenant$
-- As `change_status` does before a tenant is taken back: it finds the deletion, or the deletion finds it active.
SELECT status FROM tenants WHERE id = :tenant_id FOR NO KEY UPDATE;

-- name: hold_if_expired$
SELECT true FROM tenants
WHERE id = :tenant_id AND status = 'cancelled' AND cancelled_at <= :cancelled_before
FOR NO KEY UPDATE;

-- name: rechecks
SELECT id FROM provisioning_runs WHERE tenant_id = :tenant_id AND recheck_at IS NOT NULL;

-- name: steps_of
SELECT id, step, status, attempts, detail, error, started_at, finished_at
FROM provisioning_steps WHERE tenant_id = :tenant_id AND run_id = :run_id
ORDER BY id;

-- name: begin_attempt!
WITH run AS (
    UPDATE provisioning_runs SET updated_at = :now WHERE tenant_id = :tenant_id AND id = :run_id
)
UPDATE provisioning_steps
SET status = 'running', attempts = attempts + 1, started_at = coalesce(started_at, :now)
WHERE tenant_id = :tenant_id AND run_id = :run_id AND step = :step;

-- name: finish_step!
WITH run AS (
    UPDATE provisioning_runs SET updated_at = :now WHERE tenant_id = :tenant_id AND id = :run_id
)
UPDATE provisioning_steps
SET status = 'done', error = NULL, finished_at = :now, detail = detail || CAST(:detail AS jsonb)
WHERE tenant_id = :tenant_id AND run_id = :run_id AND step = :step;

-- name: fail_attempt!
-- Only while the attempt is still the one that counts.
UPDATE provisioning_steps
SET status = :status, error = :error,
    detail = jsonb_set(detail, '{failures}', coalesce(detail -> 'failures', '[]') || CAST(:failure AS jsonb))
WHERE tenant_id = :tenant_id AND run_id = :run_id AND step = :step AND status = 'running';

-- name: mark_compensating!
UPDATE provisioning_runs SET status = 'compensating', error = coalesce(error, :error), updated_at = :now
WHERE tenant_id = :tenant_id AND id = :run_id;

-- name: sign_of_life!
UPDATE provisioning_runs SET updated_at = :now WHERE tenant_id = :tenant_id AND id = :run_id;

-- name: compensate_steps!
UPDATE provisioning_steps SET
    status = CASE WHEN status = 'failed' OR step = :failed_step THEN 'failed' WHEN attempts > 0 THEN 'compensated' ELSE 'skipped' END,
    error = CASE WHEN step = :failed_step THEN coalesce(error, :error) ELSE error END,
    finished_at = coalesce(finished_at, :now)
WHERE tenant_id = :tenant_id AND run_id = :run_id;

-- name: forget_second_factors!
-- Their secrets were in Vault: without them nobody could log in and try again.
UPDATE users SET totp_enabled_at = NULL, totp_last_step = NULL, updated_at = :now
WHERE tenant_id = :tenant_id AND totp_enabled_at IS NOT NULL;

-- name: finish_run!
UPDATE provisioning_runs
SET status = :status, report = :report, finished_at = :now, updated_at = :now, recheck_at = :recheck_at
WHERE tenant_id = :tenant_id AND id = :run_id;

-- name: owner^
SELECT id, email FROM users WHERE tenant_id = :tenant_id AND role = 'owner' ORDER BY created_at, id LIMIT 1;

-- name: customer_of$
SELECT stripe_customer_id FROM subscriptions WHERE tenant_id = :tenant_id;

-- name: forget_customer!
DELETE FROM subscriptions WHERE tenant_id = :tenant_id;

-- name: tenant_tables
-- The live schema: each table with a tenant_id, and the tables it refers to.
SELECT CAST(c.relname AS text) AS name, ARRAY(
    SELECT CAST(target.relname AS text)
    FROM pg_constraint f JOIN pg_class target ON target.oid = f.confrelid
    WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> f.conrelid AND NOT target.relispartition
) AS refers_to
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE c.relnamespace = CAST('alphapulse' AS regnamespace) AND c.relkind IN ('r', 'p') AND NOT c.relispartition;

-- name: erase_rows$
SELECT erase_tenant_rows(CAST(:relation AS name), CAST(:most AS integer));

-- name: has_rows$
SELECT tenant_has_rows(CAST(:relation AS name));

-- name: anonymise_tenant!
UPDATE tenants SET company = 'deleted', status_reason = NULL, trial_ends_at = NULL, grace_ends_at = NULL, updated_at = :now
WHERE id = :tenant_id;

-- name: due_runs
-- Overdue, or without a sign of life for a while: an event was lost, or a compensation did not end. Each
-- attempt is a sign of life, so that one which keeps failing goes behind the others.
SELECT r.tenant_id, r.id, r.kind, r.status, r.deadline_at
FROM provisioning_runs r
WHERE r.status IN ('running', 'compensating') AND (r.deadline_at <= :now OR r.updated_at <= :silent_since)
ORDER BY r.updated_at
LIMIT :row_limit;

-- name: open_runs
SELECT r.tenant_id, r.id, r.kind, r.status, r.created_at, r.error, ARRAY(
    SELECT s.step || ': ' || s.error FROM provisioning_steps s
    WHERE s.tenant_id = r.tenant_id AND s.run_id = r.id AND s.error IS NOT NULL
    ORDER BY s.id
) AS step_errors
FROM provisioning_runs r
WHERE r.status IN ('running', 'compensating')
ORDER BY r.created_at;

-- name: tenant_of_run$
SELECT tenant_id FROM provisioning_runs WHERE id = :run_id;

-- name: due_rechecks
SELECT r.tenant_id, r.id FROM provisioning_runs r
WHERE r.recheck_at <= :now
ORDER BY r.recheck_at
LIMIT :row_limit;

-- name: recheck_done!
UPDATE provisioning_runs SET recheck_at = NULL, report = coalesce(:report, report), updated_at = :now
WHERE tenant_id = :tenant_id AND id = :run_id;

-- name: postpone_recheck!
UPDATE provisioning_runs SET recheck_at = :recheck_at, updated_at = :now
WHERE tenant_id = :tenant_id AND id = :run_id;

-- name: expired_tenants
SELECT t.id FROM tenants t
WHERE t.status = 'cancelled' AND t.cancelled_at <= :cancelled_before
    AND NOT EXISTS (SELECT FROM provisioning_runs r WHERE r.tenant_id = t.id AND r.status IN ('running', 'compensating'))
ORDER BY t.cancelled_at
LIMIT :row_limit;
