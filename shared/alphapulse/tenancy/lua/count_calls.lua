-- Adds requests that were let through while this server was away to the day they were made on.
--
-- KEYS  1 the hash of `take`
-- ARGV  1 the day, 2 how many
-- Returns how many requests that day has now; -1 when it is too long ago to be counted.

local day, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local stored = redis.call('HMGET', KEYS[1], 'd', 'n', 'y')
local d, n, y = tonumber(stored[1] or -1), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
if d == day then
  n = n + count
elseif d < day then
  y = d == day - 1 and n or 0
  d, n = day, count
elseif d == day + 1 then
  y = y + count
else
  return -1
end
redis.call('HSET', KEYS[1], 'd', d, 'n', n, 'y', y)
redis.call('EXPIRE', KEYS[1], 172800)
return d == day and n or y
