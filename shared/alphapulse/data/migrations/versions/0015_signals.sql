-- What a signal was made from, so that it can be made again.

SELECT 1;
