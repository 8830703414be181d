-- Stores a value and keeps the tenant's account true in the same step.
--
-- KEYS  1 value, 2 usage_bytes, 3 lru, 4 sizes, 5 expiries, 6 alerted
-- ARGV  1 value, 2 its milliseconds to live, 3 quota, 4 bytes to alert at
--
-- Returns the bytes used; or {bytes used, level} when they have crossed a level since they were last
-- clearly below: 1 the alert, 2 the quota.
--
-- usage_bytes is the sum of sizes between any two scripts. A value that expires leaves without telling, so
-- expiries says when each is due, and every write takes a few that have gone out of the account.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local value, ttl = ARGV[1], tonumber(ARGV[2])
local quota, alert_at = tonumber(ARGV[3]), tonumber(ARGV[4])

local freed = 0
-- A few at a time: no single write pays for all that a busy hour left behind.
local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now, 'LIMIT', 0, 20)
for _, name in ipairs(due) do
  -- It may be due a moment before Redis thinks so.
  if redis.call('EXISTS', name) == 0 then
    freed = freed + tonumber(redis.call('HGET', KEYS[4], name) or 0)
    redis.call('HDEL', KEYS[4], name)
    redis.call('ZREM', KEYS[3], name)
    redis.call('ZREM', KEYS[5], name)
  end
end

local before = tonumber(redis.call('HGET', KEYS[4], KEYS[1]) or 0)
redis.call('SET', KEYS[1], value, 'PX', ttl)
redis.call('ZADD', KEYS[3], now, KEYS[1])
redis.call('ZADD', KEYS[5], now + ttl * 1000, KEYS[1])
if #value ~= before then redis.call('HSET', KEYS[4], KEYS[1], #value) end
local change = #value - before - freed
local used = redis.call('INCRBY', KEYS[2], change)

if used < alert_at then
  -- Told again only after it has been clearly below: at the level itself usage goes up and down.
  if change < 0 and used < alert_at * 0.9 then redis.call('DEL', KEYS[6]) end
  return used
end
local level = used > quota and 2 or 1
if level <= tonumber(redis.call('GET', KEYS[6]) or 0) then return used end
redis.call('SET', KEYS[6], level)
return {used, level}
