-- name: write_probe!
UPDATE tenant_configs SET settings = jsonb_set(settings, '{provisioning_probe}', to_jsonb(CAST(:probe AS text)))
WHERE tenant_id = :tenant_id;

-- name: read_probe$
SELECT settings ->> 'provisioning_probe' FROM tenant_configs WHERE tenant_id = :tenant_id;

-- name: remove_probe!
UPDATE tenant_configs SET settings = settings - 'provisioning_probe' WHERE tenant_id = :tenant_id;

-- name: customer_of$
SELECT stripe_customer_id FROM subscriptions WHERE tenant_id = :tenant_id;
