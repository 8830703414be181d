-- Who sends a notice at the moment.

-- A mail server knows no transaction, so one delivery at a time sends a notice: until this moment the
-- others leave it alone. A sender that crashed is succeeded when it has passed.
ALTER TABLE notifications ADD COLUMN sending_until timestamptz;
