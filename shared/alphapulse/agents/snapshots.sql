-- Evidence belongs to no tenant, so there is no tenant predicate.

-- name: in_use
-- Those of the digests that are there; they are marked as used today.
SELECT e.digest FROM evidence_in_use(CAST(:digests AS bytea[])) AS e (digest);

-- name: keep$
SELECT CAST(keep_evidence(CAST(:documents AS bytea[])) AS text);

-- name: documents
SELECT digest, document FROM evidence_snapshots WHERE digest = ANY(CAST(:digests AS bytea[]));
