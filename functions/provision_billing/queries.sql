-- name: owner_address$
SELECT email FROM users WHERE tenant_id = :tenant_id AND role = 'owner' ORDER BY created_at, id LIMIT 1;

-- name: trial_ends_at$
SELECT trial_ends_at FROM tenants WHERE id = :tenant_id;

-- name: record_customer!
INSERT INTO subscriptions (tenant_id, tier, status, stripe_customer_id, stripe_subscription_id, stripe_price_id,
    current_period_start, current_period_end, trial_ends_at, created_at, updated_at)
VALUES (:tenant_id, :tier, :status, :customer_id, :subscription_id, :price_id,
    :period_start, :period_end, :trial_ends_at, :now, :now)
ON CONFLICT (tenant_id) DO UPDATE SET
    tier = excluded.tier, status = excluded.status, stripe_customer_id = excluded.stripe_customer_id,
    stripe_subscription_id = excluded.stripe_subscription_id, stripe_price_id = excluded.stripe_price_id,
    current_period_start = excluded.current_period_start, current_period_end = excluded.current_period_end,
    trial_ends_at = excluded.trial_ends_at, updated_at = excluded.updated_at;
