-- What may be removed when its time is over, and events the broker refuses for good.

-- The platform finds and removes rows of all tenants once they are old, and none before; while it acts for a
-- tenant it is bound to that one, as everywhere. How long marks are kept is a setting; never less than this.
CREATE POLICY platform_retention_find ON processed_events FOR SELECT TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND processed_at < now() - interval '7 days');
CREATE POLICY platform_retention ON processed_events FOR DELETE TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND processed_at < now() - interval '7 days');
CREATE POLICY platform_retention_find ON idempotency_keys FOR SELECT TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND created_at < now() - interval '24 hours');
CREATE POLICY platform_retention ON idempotency_keys FOR DELETE TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND created_at < now() - interval '24 hours');
CREATE POLICY platform_retention_find ON one_time_tokens FOR SELECT TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND expires_at < now() - interval '24 hours');
CREATE POLICY platform_retention ON one_time_tokens FOR DELETE TO alphapulse_platform
    USING (NULLIF(current_setting('app.current_tenant_id', true), '') IS NULL
        AND expires_at < now() - interval '24 hours');
-- Oldest first, over all tenants.
CREATE INDEX processed_events_age ON processed_events (processed_at);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
CREATE INDEX one_time_tokens_expiry ON one_time_tokens (expires_at);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- An event that the broker refuses for good is not tried again; it stays for an operator, who sets this to null
-- to have it sent once more.
ALTER TABLE outbox ADD COLUMN refused_at timestamptz;
ALTER TABLE platform_outbox ADD COLUMN refused_at timestamptz;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE refused_at IS NULL;
DROP INDEX platform_outbox_due;
CREATE INDEX platform_outbox_due ON platform_outbox (next_attempt_at) WHERE refused_at IS NULL;
