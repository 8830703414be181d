-- Accounts: verification, one-time tokens, second factor.

ALTER TABLE users ADD COLUMN email_verified_at timestamptz;
