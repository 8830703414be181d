-- name: tenants_with_open_orders
-- The platform sees of unsettled orders whose they are, and nothing else.
SELECT DISTINCT tenant_id
FROM trades
WHERE status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown')
ORDER BY tenant_id;
