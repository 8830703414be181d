-- Gives up a claim, unless it has expired and is somebody else's by now.
--
-- KEYS  1 the claim
-- ARGV  1 the token it was claimed with
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
