-- Backtests.

SELECT 1;
