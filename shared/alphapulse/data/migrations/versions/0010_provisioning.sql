-- Provisioning saga: creation and removal of tenants.

ALTER TABLE provisioning_runs ADD COLUMN kind text NOT NULL DEFAULT 'provision'
    CHECK (kind IN ('provision', 'delete'));
