-- What the runtime reads to admit a request.

-- Whether a login still stands; never the hash of its token.
GRANT SELECT (tenant_id, id, user_id, family_id, expires_at, revoked_at) ON sessions TO alphapulse_app;
