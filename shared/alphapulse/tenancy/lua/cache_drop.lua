-- Removes a value and takes it out of the tenant's account.
--
-- KEYS  1 value, 2 usage_bytes, 3 lru, 4 sizes, 5 expiries, 6 alerted
-- ARGV  1 bytes to alert at
-- Returns whether there was one.

local found = redis.call('UNLINK', KEYS[1])
local size = redis.call('HGET', KEYS[4], KEYS[1])
if size then
  local used = redis.call('DECRBY', KEYS[2], size)
  redis.call('HDEL', KEYS[4], KEYS[1])
  redis.call('ZREM', KEYS[3], KEYS[1])
  redis.call('ZREM', KEYS[5], KEYS[1])
  if used < tonumber(ARGV[1]) * 0.9 then redis.call('DEL', KEYS[6]) end
end
return found
