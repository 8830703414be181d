-- Park what is left of a trigger that is in no table any more, then remove its keys.
--
-- KEYS[1]    stream
-- KEYS[2]    delayed set
-- KEYS[3]    bodies of delayed entries
-- KEYS[4]    parked stream
-- KEYS[5]    set of all triggers that may have keys
-- ARGV[1]    consumer group
-- ARGV[2]    most entries to park in this call
-- ARGV[3]    why they are parked (JSON)
-- ARGV[4]    name of the trigger
-- Returns    {entries parked, 1 when nothing was left and the keys are gone, else 0}
--
-- Atomicity: an entry is parked before it leaves its old place, and the keys go in the step that
-- saw them empty. Parked entries stay until an operator replays or trims them.
-- A first write that takes no memory: after it Redis lets the script finish even when it is full.
redis.call('PERSIST', KEYS[1])
local parked = 0
local most = tonumber(ARGV[2])
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', most)) do
  local fields = entry[2]
  fields[#fields + 1] = 'parked'
  fields[#fields + 1] = ARGV[3]
  redis.call('XADD', KEYS[4], '*', unpack(fields))
  redis.pcall('XACK', KEYS[1], ARGV[1], entry[1])
  redis.call('XDEL', KEYS[1], entry[1])
  parked = parked + 1
end
if parked < most then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, most - parked - 1)) do
    local packed = redis.call('HGET', KEYS[3], id)
    if packed then
      local fields = cmsgpack.unpack(packed)
      fields[#fields + 1] = 'parked'
      fields[#fields + 1] = ARGV[3]
      redis.call('XADD', KEYS[4], '*', unpack(fields))
      parked = parked + 1
    end
    redis.call('ZREM', KEYS[2], id)
    redis.call('HDEL', KEYS[3], id)
  end
end
if redis.call('XLEN', KEYS[1]) > 0 or redis.call('ZCARD', KEYS[2]) > 0 then
  return {parked, 0}
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
if redis.call('XLEN', KEYS[4]) == 0 then
  redis.call('DEL', KEYS[4])
  redis.call('SREM', KEYS[5], ARGV[4])
end
return {parked, 1}
