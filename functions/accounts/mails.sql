-- name: record!
-- Never the text: it holds the token.
INSERT INTO notifications (tenant_id, id, user_id, channel, kind, subject, dedupe_key, status, attempts, error,
    sent_at, created_at)
VALUES (:tenant_id, :id, :user_id, 'email', :kind, :subject, 'token-mail:' || CAST(:id AS uuid), :status, 1, :error,
    CASE WHEN :status = 'sent' THEN CAST(:now AS timestamptz) END, :now);
