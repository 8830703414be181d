-- Exchange credentials: health and rotation.

ALTER TABLE tenant_credentials ADD COLUMN failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0);
