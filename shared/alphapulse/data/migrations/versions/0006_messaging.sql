-- Outbox, processed events, idempotency keys.

-- Events waiting to be sent, written in the transaction of the change they tell of. A sent row is
-- deleted. No foreign key to tenants: an event about a deleted tenant must still leave.
CREATE TABLE outbox (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    event jsonb NOT NULL CHECK (jsonb_typeof(event) = 'object'),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX outbox_created ON outbox (tenant_id, created_at DESC);
CREATE INDEX outbox_due ON outbox (next_attempt_at);
CALL isolate('outbox');
CREATE POLICY platform_relay ON outbox TO alphapulse_platform USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO alphapulse_app, alphapulse_platform;

-- The same for events of the platform itself, which belong to no tenant.
CREATE TABLE platform_outbox (
    id uuid PRIMARY KEY,
    event jsonb NOT NULL CHECK (jsonb_typeof(event) = 'object'),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX platform_outbox_due ON platform_outbox (next_attempt_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_outbox TO alphapulse_platform;

-- Which events a consumer has handled, and what it replied; a redelivery gets the same reply.
CREATE TABLE processed_events (
    tenant_id uuid NOT NULL,
    consumer text NOT NULL CHECK (length(consumer) BETWEEN 1 AND 100),
    source text NOT NULL,
    event_id text NOT NULL,
    reply jsonb CHECK (jsonb_typeof(reply) = 'object'),
    processed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, consumer, source, event_id)
);
CREATE INDEX processed_events_processed ON processed_events (tenant_id, processed_at DESC);
CALL isolate('processed_events');
GRANT SELECT, INSERT, UPDATE, DELETE ON processed_events TO alphapulse_app, alphapulse_platform;

CREATE TABLE platform_processed_events (
    consumer text NOT NULL CHECK (length(consumer) BETWEEN 1 AND 100),
    source text NOT NULL,
    event_id text NOT NULL,
    reply jsonb CHECK (jsonb_typeof(reply) = 'object'),
    processed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, source, event_id)
);
CREATE INDEX platform_processed_events_processed ON platform_processed_events (processed_at DESC);
GRANT SELECT, INSERT, UPDATE, DELETE ON platform_processed_events TO alphapulse_platform;

-- First answers by Idempotency-Key. A row without a response is work under way until locked_until.
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    operation text NOT NULL CHECK (length(operation) <= 300),
    request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
    response_status integer CHECK (response_status BETWEEN 100 AND 599),
    response_headers jsonb CHECK (jsonb_typeof(response_headers) = 'object'),
    response_body bytea,
    locked_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    PRIMARY KEY (tenant_id, key),
    CHECK ((response_status IS NULL) = (response_body IS NULL)),
    CHECK ((response_status IS NULL) = (completed_at IS NULL))
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (tenant_id, created_at DESC);
CALL isolate('idempotency_keys');
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO alphapulse_app, alphapulse_platform;
