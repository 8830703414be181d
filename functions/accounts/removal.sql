-- name: open_orders$
-- Of real exchanges: the paper exchange's book is deleted with the tenant.
SELECT count(*) FROM trades
WHERE tenant_id = :tenant_id AND exchange <> 'paper'
    AND status IN ('new', 'pending_submit', 'open', 'partially_filled', 'unknown');
