-- What a signal was made from, so that it can be made again.

-- The parameters are all that were in force, defaults included, so that a later default changes nothing.
ALTER TABLE agent_signals
    ADD COLUMN config_version integer CHECK (config_version >= 0),
    ADD COLUMN parameters jsonb CHECK (jsonb_typeof(parameters) = 'object'),
    ADD COLUMN evidence_digest bytea CHECK (octet_length(evidence_digest) = 32),
    -- When the signal is scored; null for an abstention.
    ADD COLUMN horizon_at timestamptz CHECK (horizon_at > created_at);

-- Weights, quorum, thresholds and signals it was reached with; null for those from before this was kept.
ALTER TABLE consensus_signals ADD COLUMN inputs jsonb CHECK (jsonb_typeof(inputs) = 'object');

-- What agents read: market and public data, shared by all tenants whose signals were made from the same. A row is
-- named by its content, so nobody can put one content in another's place.
CREATE TABLE evidence_snapshots (
    digest bytea PRIMARY KEY,
    -- zlib of JSON.
    document bytea NOT NULL,
    -- A signal of this day was made from it.
    used_on date NOT NULL DEFAULT current_date,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (digest = sha256(document))
);
CREATE INDEX evidence_snapshots_used ON evidence_snapshots (used_on);
GRANT SELECT ON evidence_snapshots TO alphapulse_app, alphapulse_readonly;
GRANT SELECT (digest, used_on), DELETE ON evidence_snapshots TO alphapulse_platform;

-- Functions add to it and change nothing in it: these two are all they may. Rows are locked in order, so that two
-- signals that share some never wait for each other.
CREATE FUNCTION keep_evidence(documents bytea[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
    INSERT INTO evidence_snapshots (digest, document)
    SELECT sha256(d.document), d.document FROM unnest(documents) AS d (document) ORDER BY 1
    ON CONFLICT (digest) DO NOTHING
$$;
REVOKE ALL ON FUNCTION keep_evidence(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_evidence(bytea[]) TO alphapulse_app;

-- Returns those there are; they stay for as long as ones that are new today.
CREATE FUNCTION evidence_in_use(digests bytea[]) RETURNS SETOF bytea
LANGUAGE sql SECURITY DEFINER SET search_path = alphapulse, pg_temp
AS $$
    UPDATE evidence_snapshots SET used_on = current_date WHERE digest IN (
        SELECT digest FROM evidence_snapshots
        WHERE digest = ANY (digests) AND used_on < current_date
        ORDER BY digest
        FOR UPDATE
    );
    SELECT digest FROM evidence_snapshots WHERE digest = ANY (digests)
$$;
REVOKE ALL ON FUNCTION evidence_in_use(bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION evidence_in_use(bytea[]) TO alphapulse_app;
