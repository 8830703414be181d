-- name: insert_tenant!
INSERT INTO tenants (id, company, tier, status, trial_ends_at, activated_at, created_at, updated_at)
VALUES (:tenant_id, :company, :tier, 'active', :trial_ends_at, :now, :now, :now);

-- name: insert_owner^
-- Returns nothing when the address has an account already.
INSERT INTO users (tenant_id, id, email, password_hash, role, created_at, updated_at)
VALUES (:tenant_id, :user_id, :email, :password_hash, 'owner', :now, :now)
ON CONFLICT (lower(email)) DO NOTHING
RETURNING id;

-- name: insert_paper_account!
WITH settings AS (
    INSERT INTO tenant_configs (tenant_id, created_at, updated_at) VALUES (:tenant_id, :now, :now)
), limits AS (
    INSERT INTO risk_limits (tenant_id, max_leverage, created_at, updated_at)
    VALUES (:tenant_id, :max_leverage, :now, :now)
), portfolio AS (
    INSERT INTO portfolios (tenant_id, currency, starting_equity, peak_equity, day_start_equity, created_at, updated_at)
    VALUES (:tenant_id, 'USD', :cash, :cash, :cash, :now, :now)
), snapshot AS (
    INSERT INTO portfolio_history (tenant_id, at, currency, equity, cash, realised_pnl, unrealised_pnl)
    VALUES (:tenant_id, :now, 'USD', :cash, :cash, 0, 0)
)
INSERT INTO balances (tenant_id, exchange, currency, amount, created_at, updated_at)
VALUES (:tenant_id, 'paper', 'USD', :cash, :now, :now);

-- name: insert_provisioning!
WITH run AS (
    INSERT INTO provisioning_runs (tenant_id, id, status, deadline_at, finished_at, created_at, updated_at)
    VALUES (:tenant_id, :run_id, 'done', :deadline_at, :now, :now, :now)
    RETURNING tenant_id, id
)
INSERT INTO provisioning_steps (tenant_id, id, run_id, step, status, attempts, started_at, finished_at, created_at)
SELECT tenant_id, :step_id, id, 'database', 'done', 1, :now, :now, :now FROM run;

-- name: owner_of_email^
SELECT tenant_id, password_hash FROM users WHERE lower(email) = lower(:email);

-- name: login_of_email^
SELECT u.tenant_id, u.id, u.password_hash, u.role, t.tier
FROM users u JOIN tenants t ON t.id = u.tenant_id
WHERE lower(u.email) = lower(:email) AND u.status = 'active' AND t.status <> 'deleted';

-- name: insert_session!
INSERT INTO sessions (tenant_id, id, user_id, family_id, token_hash, created_at, expires_at)
VALUES (:tenant_id, :session_id, :user_id, :family_id, :token_hash, :now, :expires_at);

-- name: note_login!
UPDATE users SET last_login_at = :now WHERE tenant_id = :tenant_id AND id = :user_id;

-- name: lock_family$
-- Uses of one login follow one another: a token that is being issued must not escape a revocation.
SELECT CAST(pg_advisory_xact_lock(hashtextextended('session family ' || family_id, 0)) AS text)
FROM sessions WHERE token_hash = :token_hash;

-- name: session^
SELECT s.tenant_id, s.id, s.user_id, s.family_id, s.expires_at, s.rotated_at, s.revoked_at, u.role, t.tier
FROM sessions s
JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
JOIN tenants t ON t.id = s.tenant_id
WHERE s.token_hash = :token_hash AND u.status = 'active' AND t.status <> 'deleted';

-- name: rotate_session!
UPDATE sessions SET rotated_at = :now WHERE tenant_id = :tenant_id AND id = :session_id;

-- name: revoke_family!
UPDATE sessions SET revoked_at = :now
WHERE tenant_id = :tenant_id AND family_id = :family_id AND revoked_at IS NULL;

-- name: tenant^
SELECT t.id, t.company, t.tier, t.status, t.created_at,
    (SELECT count(*) FROM positions p WHERE p.tenant_id = t.id AND p.quantity > 0) AS open_positions
FROM tenants t WHERE t.id = :tenant_id;

-- name: provisioning_steps
SELECT s.step, s.status, s.attempts, s.started_at, s.finished_at, s.error
FROM provisioning_steps s
WHERE s.tenant_id = :tenant_id
ORDER BY s.created_at, s.id;
