-- Returns a number above the last one and not below ARGV[1]; ARGV[2] is how long it is remembered, in ms.
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
-- Microseconds since 1970 are whole numbers in Lua's doubles until the year 2255.
local nonce = string.format('%.0f', math.max(last + 1, tonumber(ARGV[1])))
redis.call('SET', KEYS[1], nonce, 'PX', ARGV[2])
return nonce
