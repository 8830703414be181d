-- Brings a tenant that is over its quota down: first what has expired leaves the account, then the values
-- that were not used for longest are removed.
--
-- KEYS  1 usage_bytes, 2 lru, 3 sizes, 4 expiries
-- ARGV  1 bytes to come down to, 2 prefix of the tenant's keys, 3 most keys to remove in this step
-- Returns {bytes used, values removed, whether there is more to do}.

local wanted, prefix, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local used = tonumber(redis.call('GET', KEYS[1]) or 0)

local function forget(names)
  if #names == 0 then return end
  redis.call('HDEL', KEYS[3], unpack(names))
  redis.call('ZREM', KEYS[2], unpack(names))
  redis.call('ZREM', KEYS[4], unpack(names))
end

local function sizes(names)
  return #names > 0 and redis.call('HMGET', KEYS[3], unpack(names)) or {}
end

local due = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, most)
local gone, freed = {}, 0
for i, size in ipairs(sizes(due)) do
  if redis.call('EXISTS', due[i]) == 0 then
    gone[#gone + 1] = due[i]
    freed = freed + (tonumber(size) or 0)
  end
end
forget(gone)

local oldest = {}
-- While more has expired than one step counts, nothing that lives is removed.
if #due < most and used - freed > wanted then oldest = redis.call('ZRANGE', KEYS[2], 0, most - 1) end
local removed = {}
for i, size in ipairs(sizes(oldest)) do
  if used - freed <= wanted then break end
  removed[#removed + 1] = oldest[i]
  freed = freed + (tonumber(size) or 0)
end
for _, name in ipairs(removed) do
  -- Whatever may have got into the set: nothing outside of the tenant's own keys is removed.
  if string.sub(name, 1, #prefix) == prefix then redis.call('UNLINK', name) end
end
forget(removed)

used = redis.call('DECRBY', KEYS[1], freed)
local progress = #gone + #removed > 0
return {used, #removed, (used > wanted and progress) and 1 or 0}
