-- Sets the counter to the sum of what is accounted.
--
-- KEYS  1 usage_bytes, 2 sizes, 3 alerted
-- ARGV  1 bytes to alert at
-- Returns {bytes used, the counter before}.

local before = tonumber(redis.call('GET', KEYS[1]) or 0)
local used = 0
for _, size in ipairs(redis.call('HVALS', KEYS[2])) do used = used + tonumber(size) end
if used ~= before then redis.call('SET', KEYS[1], used) end
if used < tonumber(ARGV[1]) * 0.9 then redis.call('DEL', KEYS[3]) end
return {used, before}
