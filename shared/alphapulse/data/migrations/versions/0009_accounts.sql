-- Accounts: invitations, verification, one-time tokens, second factor, login throttling.

-- Failures are counted per address and per client, whether or not there is such a user (login_throttles).
ALTER TABLE users DROP COLUMN failed_logins, DROP COLUMN locked_until;
ALTER TABLE users DROP CONSTRAINT users_status_check,
    ADD CONSTRAINT users_status_check CHECK (status IN ('invited', 'active', 'disabled'));
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;
ALTER TABLE users ADD COLUMN totp_enabled_at timestamptz;
-- The 30 s step of the last code that was accepted: no code works twice.
ALTER TABLE users ADD COLUMN totp_last_step bigint CHECK (totp_last_step >= 0);

-- What a person recognises a login by, and what a browser proves that a request is its own.
ALTER TABLE sessions ADD COLUMN client text NOT NULL DEFAULT '' CHECK (length(client) <= 200);
ALTER TABLE sessions ADD COLUMN address text CHECK (length(address) <= 64);
-- Whether a user has logged in from an address takes as long as for one who never did.
DROP INDEX sessions_user;
CREATE INDEX sessions_user ON sessions (tenant_id, user_id, address);
ALTER TABLE sessions ADD COLUMN csrf_hash bytea CHECK (octet_length(csrf_hash) = 32);

-- Links in mails. The token names its tenant, so it is looked up among that tenant's rows only.
CREATE TABLE one_time_tokens (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'invitation')),
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    -- The address it was sent to: what it proves.
    email text NOT NULL CHECK (length(email) <= 254),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX one_time_tokens_created ON one_time_tokens (tenant_id, created_at DESC);
-- A newer token takes the place of the unused one.
CREATE UNIQUE INDEX one_time_tokens_newest ON one_time_tokens (tenant_id, user_id, purpose)
    WHERE used_at IS NULL;
CALL isolate('one_time_tokens');
GRANT SELECT, INSERT, UPDATE, DELETE ON one_time_tokens TO alphapulse_platform;

-- Each stands in for a code of the second factor, once. The factor's secret is in Vault.
CREATE TABLE recovery_codes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, user_id, code_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE
);
CREATE INDEX recovery_codes_created ON recovery_codes (tenant_id, created_at DESC);
CALL isolate('recovery_codes');
GRANT SELECT, INSERT, UPDATE, DELETE ON recovery_codes TO alphapulse_platform;

-- Attempts by hashed address and by client address. Of no tenant: most guesses name no user at all.
CREATE TABLE login_throttles (
    key text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 100),
    attempts integer NOT NULL CHECK (attempts >= 0),
    locked_until timestamptz,
    reported_at timestamptz,
    last_attempt_at timestamptz NOT NULL
);
CREATE INDEX login_throttles_last_attempt ON login_throttles (last_attempt_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON login_throttles TO alphapulse_platform;
