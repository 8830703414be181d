-- Exchange credentials: health and rotation.

ALTER TABLE tenant_credentials ADD COLUMN failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0);
-- Whether the key works from listed addresses only; null when the exchange does not say.
ALTER TABLE tenant_credentials ADD COLUMN ip_restricted boolean;
-- Versions that were rotated out and are kept for a while: [{"version": 1, "until": "2026-01-02T00:00:00Z"}].
ALTER TABLE tenant_credentials ADD COLUMN retired jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(retired) = 'array');
-- A key is valid until three checks have failed; then it is failed, and trading stops. A revoked one is
-- being removed.
ALTER TABLE tenant_credentials DROP CONSTRAINT tenant_credentials_status_check;
ALTER TABLE tenant_credentials ADD CONSTRAINT tenant_credentials_status_check
    CHECK (status IN ('unchecked', 'valid', 'failed', 'revoked'));
