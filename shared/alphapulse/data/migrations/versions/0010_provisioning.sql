-- Provisioning saga: creation and removal of tenants.

ALTER TABLE provisioning_runs ADD COLUMN kind text NOT NULL DEFAULT 'provision'
    CHECK (kind IN ('provision', 'delete'));
-- What compensation or deletion removed from each store, and that nothing was left afterwards.
ALTER TABLE provisioning_runs ADD COLUMN report jsonb CHECK (jsonb_typeof(report) = 'object');
-- When what was removed is looked for once more; null when that is done or not needed.
ALTER TABLE provisioning_runs ADD COLUMN recheck_at timestamptz;
CREATE UNIQUE INDEX provisioning_runs_open ON provisioning_runs (tenant_id)
    WHERE status IN ('running', 'compensating');
CREATE INDEX provisioning_runs_recheck ON provisioning_runs (recheck_at) WHERE recheck_at IS NOT NULL;

ALTER TABLE tenants ADD COLUMN deleted_at timestamptz;

-- Rows are removed by the schema's owner, so that no function's role needs the right to delete from
-- every table. The owner is bound by row-level security too: only the transaction's own tenant.
-- A batch at a time, because a statement may take 30 s. A tenant's rows are all in one partition, so
-- the ctid names a row.
CREATE FUNCTION erase_tenant_rows(relation name, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
DECLARE
    tenant constant uuid := NULLIF(current_setting('app.current_tenant_id', true), '')::uuid;
    erased bigint;
BEGIN
    EXECUTE format('DELETE FROM %1$I WHERE tenant_id = $1 AND ctid = ANY (ARRAY(
        SELECT ctid FROM %1$I WHERE tenant_id = $1 LIMIT $2))', relation) USING tenant, most;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END
$$;
REVOKE ALL ON FUNCTION erase_tenant_rows(name, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_tenant_rows(name, integer) TO alphapulse_platform;

CREATE FUNCTION tenant_has_rows(relation name) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
DECLARE
    found boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE tenant_id = $1)', relation)
        USING NULLIF(current_setting('app.current_tenant_id', true), '')::uuid INTO found;
    RETURN found;
END
$$;
REVOKE ALL ON FUNCTION tenant_has_rows(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tenant_has_rows(name) TO alphapulse_platform;
