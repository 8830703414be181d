-- Usage, subscriptions, invoices, Stripe events.

CREATE TABLE usage_events (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    meter text NOT NULL CHECK (meter ~ '^[a-z][a-z0-9_]{1,62}$'),
    quantity numeric(38,18) NOT NULL CHECK (quantity > 0),
    -- Unique per tenant, so that a repeated report counts once.
    identifier text NOT NULL CHECK (length(identifier) BETWEEN 1 AND 200),
    source text NOT NULL,
    occurred_at timestamptz NOT NULL,
    aggregated_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, identifier)
);
CREATE INDEX usage_events_created ON usage_events (tenant_id, created_at DESC);
CREATE INDEX usage_events_pending ON usage_events (tenant_id, occurred_at) WHERE aggregated_at IS NULL;
CALL isolate('usage_events');
GRANT SELECT ON usage_events TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE (aggregated_at) ON usage_events TO alphapulse_app;

CREATE TABLE usage_aggregates (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    meter text NOT NULL CHECK (meter ~ '^[a-z][a-z0-9_]{1,62}$'),
    period text NOT NULL CHECK (period IN ('hour', 'day', 'month')),
    period_start timestamptz NOT NULL,
    quantity numeric(38,18) NOT NULL CHECK (quantity >= 0),
    reported_quantity numeric(38,18) NOT NULL DEFAULT 0 CHECK (reported_quantity >= 0),
    reported_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, meter, period, period_start)
);
CREATE INDEX usage_aggregates_created ON usage_aggregates (tenant_id, created_at DESC);
CALL isolate('usage_aggregates');
GRANT SELECT ON usage_aggregates TO alphapulse_readonly, alphapulse_platform;
GRANT SELECT, INSERT, UPDATE ON usage_aggregates TO alphapulse_app;

CREATE TABLE subscriptions (
    tenant_id uuid NOT NULL UNIQUE REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    tier text NOT NULL CHECK (tier IN ('starter', 'pro', 'enterprise')),
    status text NOT NULL CHECK (status IN
        ('incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'cancelled')),
    stripe_customer_id text UNIQUE,
    stripe_subscription_id text UNIQUE,
    stripe_price_id text,
    current_period_start timestamptz,
    current_period_end timestamptz,
    trial_ends_at timestamptz,
    grace_ends_at timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    -- Time of the newest Stripe event applied; an older one that arrives late changes nothing.
    applied_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CHECK (current_period_end > current_period_start)
);
CREATE INDEX subscriptions_created ON subscriptions (tenant_id, created_at DESC);
CALL isolate('subscriptions');
-- A webhook names a customer; the tenant is found from it.
CREATE POLICY platform_billing ON subscriptions FOR SELECT TO alphapulse_platform USING (true);
GRANT SELECT ON subscriptions TO alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE ON subscriptions TO alphapulse_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON subscriptions TO alphapulse_platform;

CREATE TABLE invoices (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    stripe_invoice_id text NOT NULL UNIQUE,
    number text,
    status text NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'void', 'uncollectible')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_due numeric(38,18) NOT NULL CHECK (amount_due >= 0),
    amount_paid numeric(38,18) NOT NULL DEFAULT 0 CHECK (amount_paid >= 0),
    period_start timestamptz,
    period_end timestamptz,
    due_at timestamptz,
    paid_at timestamptz,
    hosted_url text,
    lines jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(lines) = 'array'),
    applied_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX invoices_created ON invoices (tenant_id, created_at DESC);
CALL isolate('invoices');
GRANT SELECT ON invoices TO alphapulse_readonly, alphapulse_platform;
GRANT SELECT, INSERT, UPDATE ON invoices TO alphapulse_app;

-- Every webhook as it came, by Stripe's own id; the tenant is known only once it has been looked up.
CREATE TABLE stripe_events (
    id text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
    tenant_id uuid REFERENCES tenants ON DELETE SET NULL,
    type text NOT NULL,
    livemode boolean NOT NULL,
    payload jsonb NOT NULL,
    status text NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'applied', 'ignored', 'failed')),
    error text,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz
);
CREATE INDEX stripe_events_created ON stripe_events (tenant_id, created_at DESC);
CALL isolate('stripe_events');
CREATE POLICY platform_billing ON stripe_events TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_events TO alphapulse_platform;
