-- name: run_exists$
SELECT EXISTS (SELECT FROM agent_runs WHERE tenant_id = :tenant_id AND id = :run_id);

-- name: signals_of_run
SELECT id, agent, symbol, interval, abstained, abstain_reason, signal, score, confidence, reasons, inputs,
    agent_version, parameters, evidence_digest, horizon_at, created_at
FROM agent_signals
WHERE tenant_id = :tenant_id AND run_id = :run_id
ORDER BY symbol, agent;

-- name: consensus_of_run
SELECT symbol, signal, score, quorum, reason, contributions, inputs, created_at
FROM consensus_signals
WHERE tenant_id = :tenant_id AND run_id = :run_id
ORDER BY symbol;
