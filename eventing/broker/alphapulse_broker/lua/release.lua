-- Hand a stopping consumer's entries back: the next claim of anybody takes them at once.
--
-- KEYS[1]    stream
-- ARGV[1]    consumer group
-- ARGV[2]    consumer
-- ARGV[3]    idle time in ms to pretend
-- ARGV[4]    first id to hand back: '-', then '(' and the last id of the call before
-- ARGV[5]    most entries to hand back in this call
-- Returns    {number of entries handed back, id of the last}
--
-- Atomicity: the consumer is deleted only in the step that saw it without pending entries,
-- since deleting it would drop them.
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[4], '+', ARGV[5], ARGV[2])
if #pending == 0 then
  if ARGV[4] == '-' then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
  end
  return {0, ''}
end
local ids = {}
for i, entry in ipairs(pending) do
  ids[i] = entry[1]
end
local arguments = {unpack(ids)}
arguments[#arguments + 1] = 'IDLE'
arguments[#arguments + 1] = ARGV[3]
arguments[#arguments + 1] = 'JUSTID'
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(arguments))
return {#ids, pending[#pending][1]}
