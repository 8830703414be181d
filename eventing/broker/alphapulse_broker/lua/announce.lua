-- Note that a process is alive, and forget those that have been silent for long.
--
-- KEYS[1]    sorted set: name of each process by its last sign of life in ms
-- KEYS[2]    hash: name -> what the process says of itself (JSON)
-- ARGV[1]    name of the process
-- ARGV[2]    what it says of itself; '' when it ends and takes itself off
-- ARGV[3]    silence in ms after which a process is forgotten
-- Returns    number of processes known
--
-- Atomicity: set and hash name the same processes at any time.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
-- A write that takes no memory. After it Redis lets the script go on when it is full: a process must
-- not look dead for that.
redis.call('PERSIST', KEYS[1])
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[3]))
if ARGV[2] == '' then
  ended[#ended + 1] = ARGV[1]
else
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
for _, name in ipairs(ended) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
return redis.call('ZCARD', KEYS[1])
