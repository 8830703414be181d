-- Audit log, notifications, webhook endpoints.

-- Append-only: no role may update or delete, and each row carries the hash of the one before it.
-- No foreign key: the log outlives the tenant.
CREATE TABLE audit_log (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    actor_type text NOT NULL CHECK (actor_type IN ('user', 'api_key', 'function', 'operator')),
    actor_id text NOT NULL,
    action text NOT NULL CHECK (action ~ '^[a-z][a-z0-9_.]{1,99}$'),
    resource_type text,
    resource_id text,
    details jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object'),
    trace_id text,
    previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, sequence)
);
CREATE INDEX audit_log_created ON audit_log (tenant_id, created_at DESC);
CALL isolate('audit_log');
GRANT SELECT ON audit_log TO alphapulse_readonly;
GRANT SELECT, INSERT ON audit_log TO alphapulse_app, alphapulse_platform;

-- What a row's hash covers, as text that does not depend on the session's settings.
CREATE FUNCTION audit_hash(entry audit_log) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sha256(entry.previous_hash || convert_to(jsonb_build_array(
    entry.tenant_id, entry.id, entry.sequence, entry.actor_type, entry.actor_id, entry.action,
    entry.resource_type, entry.resource_id, entry.details, entry.trace_id,
    extract(epoch FROM entry.created_at))::text, 'UTF8'));
REVOKE ALL ON FUNCTION audit_hash(audit_log) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_hash(audit_log) TO alphapulse_app, alphapulse_platform, alphapulse_readonly;

-- The database numbers and chains the rows, so that a writer cannot choose its place in the log.
CREATE FUNCTION audit_chain() RETURNS trigger
LANGUAGE plpgsql SET search_path = alphapulse, pg_temp
AS $$
DECLARE
    last record;
BEGIN
    -- One writer per tenant at a time, or two rows would follow the same one.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_log ' || new.tenant_id, 0));
    SELECT a.sequence, a.hash INTO last FROM audit_log a
    WHERE a.tenant_id = new.tenant_id ORDER BY a.sequence DESC LIMIT 1;
    new.sequence := coalesce(last.sequence, 0) + 1;
    new.previous_hash := coalesce(last.hash, sha256(uuid_send(new.tenant_id)));
    new.created_at := clock_timestamp();
    new.hash := audit_hash(new);
    RETURN new;
END
$$;
REVOKE ALL ON FUNCTION audit_chain() FROM PUBLIC;
CREATE TRIGGER audit_log_chain BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_chain();

CREATE FUNCTION audit_refuse() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
REVOKE ALL ON FUNCTION audit_refuse() FROM PUBLIC;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

CREATE TABLE notifications (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    user_id uuid,
    channel text NOT NULL CHECK (channel IN ('email', 'webhook', 'in_app')),
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_.]{1,99}$'),
    subject text NOT NULL,
    body text NOT NULL DEFAULT '',
    payload jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
    -- One notice per cause, however often its event is delivered.
    dedupe_key text NOT NULL CHECK (length(dedupe_key) BETWEEN 1 AND 200),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'failed')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error text,
    sent_at timestamptz,
    read_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, dedupe_key)
);
CREATE INDEX notifications_created ON notifications (tenant_id, created_at DESC);
CALL isolate('notifications');
GRANT SELECT ON notifications TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON notifications TO alphapulse_app;

CREATE TABLE webhook_endpoints (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    url text NOT NULL CHECK (url ~ '^https?://' AND length(url) <= 2000),
    events text[] NOT NULL DEFAULT '{}',
    vault_version integer NOT NULL DEFAULT 1 CHECK (vault_version > 0),
    enabled boolean NOT NULL DEFAULT true,
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    succeeded_at timestamptz,
    failed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, url)
);
CREATE INDEX webhook_endpoints_created ON webhook_endpoints (tenant_id, created_at DESC);
CALL isolate('webhook_endpoints');
GRANT SELECT ON webhook_endpoints TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints TO alphapulse_app;
