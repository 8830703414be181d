-- Subscriptions to signals, and what became of signals.

SELECT 1;
