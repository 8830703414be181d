-- Tenants, users, sessions, configuration, provisioning.

-- The one definition of isolation. NULLIF lets an empty setting (what PostgreSQL leaves behind after
-- a SET LOCAL) mean "no tenant" instead of a cast error; missing_ok does the same for an absent one.
-- The comparison is a plain equality on tenant_id, so the planner can merge it with a query's own
-- predicate and check the setting once per statement instead of once per row.
CREATE PROCEDURE isolate(target regclass, tenant_column name DEFAULT 'tenant_id')
LANGUAGE plpgsql
AS $$
DECLARE
    own_rows constant text := format(
        '%I = NULLIF(current_setting(''app.current_tenant_id'', true), '''')::uuid', tenant_column);
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY tenant_isolation ON %s USING (%s) WITH CHECK (%s)', target, own_rows, own_rows);
END
$$;
REVOKE ALL ON PROCEDURE isolate(regclass, name) FROM PUBLIC;

GRANT USAGE ON SCHEMA alphapulse TO alphapulse_app, alphapulse_platform, alphapulse_readonly;

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    company text NOT NULL CHECK (length(company) BETWEEN 1 AND 200),
    tier text NOT NULL CHECK (tier IN ('starter', 'pro', 'enterprise')),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN
        ('pending', 'provisioning', 'active', 'suspended', 'cancelled', 'deleted', 'failed')),
    status_reason text,
    trial_ends_at timestamptz,
    grace_ends_at timestamptz,
    activated_at timestamptz,
    suspended_at timestamptz,
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenants_created ON tenants (created_at DESC, id);
CREATE INDEX tenants_status ON tenants (status);
CALL isolate('tenants', 'id');
CREATE POLICY platform_registry ON tenants TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON tenants TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenants TO alphapulse_platform;

CREATE TABLE users (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    email text NOT NULL CHECK (email ~ '^[^@\s]+@[^@\s]+$' AND length(email) <= 254),
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'trader', 'viewer', 'platform_admin')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    failed_logins integer NOT NULL DEFAULT 0 CHECK (failed_logins >= 0),
    locked_until timestamptz,
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
-- One login per address on the whole platform: the address alone finds the tenant.
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE INDEX users_created ON users (tenant_id, created_at DESC);
CALL isolate('users');
CREATE POLICY platform_accounts ON users TO alphapulse_platform USING (true) WITH CHECK (true);
-- Never password_hash: only accounts, with the platform role, verifies passwords.
GRANT SELECT (tenant_id, id, email, role, status, last_login_at, created_at, updated_at)
    ON users TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO alphapulse_platform;

-- Refresh tokens. A family is one login; each refresh rotates within it, and a rotated token that
-- comes back revokes the family.
CREATE TABLE sessions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    family_id uuid NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    rotated_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX sessions_created ON sessions (tenant_id, created_at DESC);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id);
CREATE INDEX sessions_family ON sessions (tenant_id, family_id);
CALL isolate('sessions');
CREATE POLICY platform_accounts ON sessions TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO alphapulse_platform;

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    prefix text NOT NULL CHECK (length(prefix) BETWEEN 4 AND 64),
    key_hash bytea NOT NULL UNIQUE CHECK (octet_length(key_hash) = 32),
    role text NOT NULL CHECK (role IN ('owner', 'trader', 'viewer')),
    scopes text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz CHECK (expires_at > created_at),
    last_used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX api_keys_created ON api_keys (tenant_id, created_at DESC);
CREATE INDEX api_keys_user ON api_keys (tenant_id, user_id);
CALL isolate('api_keys');
CREATE POLICY platform_accounts ON api_keys TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (last_used_at) ON api_keys TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO alphapulse_platform;

-- One row per tenant: preferences, tier overrides, and the kill switch.
CREATE TABLE tenant_configs (
    tenant_id uuid NOT NULL UNIQUE REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    currency text NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z0-9]{2,20}$'),
    timezone text NOT NULL DEFAULT 'UTC',
    auto_trade boolean NOT NULL DEFAULT false,
    trading_halted boolean NOT NULL DEFAULT false,
    halted_at timestamptz,
    halted_by uuid,
    halt_reason text,
    limit_overrides jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limit_overrides) = 'object'),
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (NOT trading_halted OR halted_at IS NOT NULL)
);
CREATE INDEX tenant_configs_created ON tenant_configs (tenant_id, created_at DESC);
CALL isolate('tenant_configs');
GRANT SELECT ON tenant_configs TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON tenant_configs TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_configs TO alphapulse_platform;

CREATE TABLE provisioning_runs (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    status text NOT NULL DEFAULT 'running' CHECK (status IN
        ('running', 'done', 'compensating', 'failed')),
    error text,
    deadline_at timestamptz NOT NULL,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX provisioning_runs_created ON provisioning_runs (tenant_id, created_at DESC);
CREATE INDEX provisioning_runs_overdue ON provisioning_runs (deadline_at)
    WHERE status IN ('running', 'compensating');
CALL isolate('provisioning_runs');
CREATE POLICY platform_saga ON provisioning_runs TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON provisioning_runs TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON provisioning_runs TO alphapulse_platform;

CREATE TABLE provisioning_steps (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    step text NOT NULL CHECK (step IN ('database', 'vault', 'cache', 'billing', 'verify', 'activate')),
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN
        ('waiting', 'running', 'done', 'failed', 'compensated', 'skipped')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    detail jsonb NOT NULL DEFAULT '{}',
    error text,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, run_id, step),
    FOREIGN KEY (tenant_id, run_id) REFERENCES provisioning_runs ON DELETE CASCADE
);
CREATE INDEX provisioning_steps_created ON provisioning_steps (tenant_id, created_at DESC);
CALL isolate('provisioning_steps');
CREATE POLICY platform_saga ON provisioning_steps TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON provisioning_steps TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON provisioning_steps TO alphapulse_platform;

-- Exchange keys themselves are in Vault; here is only what may be listed.
CREATE TABLE tenant_credentials (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    exchange text NOT NULL CHECK (exchange IN ('binance', 'coinbase', 'kraken')),
    label text NOT NULL DEFAULT '' CHECK (length(label) <= 100),
    key_hint text NOT NULL CHECK (length(key_hint) <= 8),
    vault_version integer NOT NULL DEFAULT 1 CHECK (vault_version > 0),
    permissions text[] NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'unchecked' CHECK (status IN ('unchecked', 'valid', 'failing', 'revoked')),
    checked_at timestamptz,
    failure text,
    rotated_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, exchange)
);
CREATE INDEX tenant_credentials_created ON tenant_credentials (tenant_id, created_at DESC);
CALL isolate('tenant_credentials');
GRANT SELECT ON tenant_credentials TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_credentials TO alphapulse_app;
GRANT SELECT ON tenant_credentials TO alphapulse_platform;

-- Switches of the whole platform, such as the platform-wide trading halt (key 'trading_halted').
CREATE TABLE platform_settings (
    key text PRIMARY KEY CHECK (key ~ '^[a-z][a-z0-9_]{0,62}$'),
    value jsonb NOT NULL,
    updated_by uuid,
    updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON platform_settings TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_settings TO alphapulse_platform;
