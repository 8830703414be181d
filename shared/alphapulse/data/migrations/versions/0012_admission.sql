-- What the runtime reads to admit a request.

-- Whether a login still stands; never the hash of its token.
GRANT SELECT (tenant_id, id, user_id, family_id, expires_at, revoked_at) ON sessions TO alphapulse_app;

-- Calls that a process let through while Redis was away and could not hand in before it stopped; added to
-- the day's count, and removed, within the hour.
CREATE TABLE call_backlog (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    day date NOT NULL,
    calls bigint NOT NULL CHECK (calls > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX call_backlog_created ON call_backlog (tenant_id, created_at DESC);
CALL isolate('call_backlog');
CREATE POLICY platform_counts ON call_backlog TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT ON call_backlog TO alphapulse_readonly;
GRANT SELECT, INSERT ON call_backlog TO alphapulse_app;
GRANT SELECT, DELETE, UPDATE ON call_backlog TO alphapulse_platform;

-- What was agreed with a tenant is the platform's to write: code that acts for a tenant cannot raise its limits.
REVOKE INSERT, UPDATE ON tenant_configs FROM alphapulse_app;
GRANT UPDATE (currency, timezone, auto_trade, trading_halted, halted_at, halted_by, halt_reason, settings,
    updated_at) ON tenant_configs TO alphapulse_app;
