-- Makes the account of some names agree with what is there.
--
-- KEYS  1 usage_bytes, 2 lru, 3 sizes, 4 expiries
-- ARGV  1 prefix of the tenant's keys, 2... names
-- Returns how many were wrong.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local change, wrong = 0, 0

for i = 2, #ARGV do
  local name = ARGV[i]
  local own = string.sub(name, 1, #prefix) == prefix
  local found = own and redis.call('TYPE', name).ok == 'string' and redis.call('STRLEN', name) or 0
  local size = redis.call('HGET', KEYS[3], name)
  if found == 0 then
    local known = redis.call('HDEL', KEYS[3], name) + redis.call('ZREM', KEYS[2], name)
      + redis.call('ZREM', KEYS[4], name)
    if known > 0 then wrong = wrong + 1 end
    change = change - tonumber(size or 0)
  else
    -- What is accounted and not in the set could never be evicted.
    redis.call('ZADD', KEYS[2], 'NX', now, name)
    local lives = redis.call('PTTL', name)
    if lives > 0 then redis.call('ZADD', KEYS[4], now + lives * 1000, name) end
    if tonumber(size or -1) ~= found then
      redis.call('HSET', KEYS[3], name, found)
      change = change + found - tonumber(size or 0)
      wrong = wrong + 1
    end
  end
end
redis.call('INCRBY', KEYS[1], change)
return wrong
