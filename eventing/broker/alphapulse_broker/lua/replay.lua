-- Put a parked entry back into its trigger's stream as a fresh event.
--
-- KEYS[1]    parked stream
-- KEYS[2]    trigger's stream
-- KEYS[3]    trigger's delayed set
-- ARGV[1]    id of the parked entry
-- ARGV[2]    cap: entries the trigger may hold (stream and delayed together)
-- ARGV[3..]  names of the fields that replay drops (what parking and dead-lettering added)
-- Returns    REPLAYED | UNKNOWN (not parked, or not any more) | FULL
--
-- Atomicity: the entry is in the stream before it leaves the parked one, in one step. A repeated
-- replay finds it gone, so that nothing is replayed twice.
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then
  return 'UNKNOWN'
end
if redis.call('XLEN', KEYS[2]) + redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[2]) then
  return 'FULL'
end
local dropped = {}
for i = 3, #ARGV do
  dropped[ARGV[i]] = true
end
local fields, fresh = found[1][2], {}
for i = 1, #fields, 2 do
  if not dropped[fields[i]] then
    fresh[#fresh + 1] = fields[i]
    fresh[#fresh + 1] = fields[i + 1]
  end
end
-- A write that takes no memory. After it Redis lets the script go on when it is full: parked entries
-- may be what fills it.
redis.call('PERSIST', KEYS[1])
redis.call('XADD', KEYS[2], '*', unpack(fresh))
redis.call('XDEL', KEYS[1], ARGV[1])
return 'REPLAYED'
