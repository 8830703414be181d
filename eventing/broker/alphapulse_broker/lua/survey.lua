-- Say how many entries of a trigger are in which state, and how old the oldest is.
--
-- KEYS[1]    stream
-- KEYS[2]    delayed set
-- KEYS[3]    parked stream
-- ARGV[1]    consumer group
-- Returns    {now in ms, entries in the stream, of these pending, delayed, parked,
--             acceptance of the stream's first entry in ms ('' when there is none),
--             due time of the next retry in ms ('' when there is none), consumers of the group}
--
-- Atomicity: all numbers are of one moment, so an entry on its way from one place to another is
-- counted once, and a sum of nothing means that there is nothing.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
-- Of a trigger that was never published there may be a stream without a group.
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1])
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
local accepted = ''
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if #first == 1 then
  for i = 1, #first[1][2], 2 do
    if first[1][2][i] == 'accepted' then
      accepted = first[1][2][i + 1]
    end
  end
end
local due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
return {
  now,
  redis.call('XLEN', KEYS[1]),
  pending.err and 0 or pending[1],
  redis.call('ZCARD', KEYS[2]),
  redis.call('XLEN', KEYS[3]),
  accepted,
  due[2] or '',
  consumers.err and 0 or #consumers,
}
