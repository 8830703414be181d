-- Trading on a consensus.

SELECT 1;
