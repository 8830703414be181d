-- Reads a value and notes that it was used; one that has gone is taken out of the tenant's account.
--
-- KEYS  1 value, 2 usage_bytes, 3 lru, 4 sizes, 5 expiries
-- Returns the value or nil.

local value = redis.call('GET', KEYS[1])
if value then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[3], 'XX', time[1] * 1000000 + time[2], KEYS[1])
  return value
end
local size = redis.call('HGET', KEYS[4], KEYS[1])
if size then
  redis.call('DECRBY', KEYS[2], size)
  redis.call('HDEL', KEYS[4], KEYS[1])
  redis.call('ZREM', KEYS[3], KEYS[1])
  redis.call('ZREM', KEYS[5], KEYS[1])
end
return false
