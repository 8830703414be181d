-- Take a pending entry out of the stream's pending list and put it where it waits next.
--
-- KEYS[1]    stream
-- KEYS[2]    delayed set (member: the entry's old id, score: due time in ms)
-- KEYS[3]    bodies of delayed entries (hash: old id -> packed fields)
-- KEYS[4]    parked stream
-- ARGV[1]    consumer group
-- ARGV[2]    entry id
-- ARGV[3]    consumer that must still hold the entry
-- ARGV[4]    where to: delayed | stream | parked
-- ARGV[5]    delay in ms (delayed only)
-- ARGV[6..]  fields to set on the entry, as name, value
-- Returns    MOVED | GONE (not pending any more) | LOST (another consumer holds it)
--
-- Atomicity: the entry is written to its new place before it leaves the old one, in one step.
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)
if #pending == 0 then
  return 'GONE'
end
if pending[1][2] ~= ARGV[3] then
  return 'LOST'
end
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])
if #found == 0 then
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
  return 'GONE'
end
local fields = found[1][2]
for i = 6, #ARGV, 2 do
  local at = #fields + 1
  for j = 1, #fields, 2 do
    if fields[j] == ARGV[i] then
      at = j
    end
  end
  fields[at] = ARGV[i]
  fields[at + 1] = ARGV[i + 1]
end
-- A write that takes no memory. After it Redis lets the script go on when it is full; the entry
-- leaves its old place in the same step.
redis.call('PERSIST', KEYS[1])
if ARGV[4] == 'delayed' then
  local now = redis.call('TIME')
  local due = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000) + tonumber(ARGV[5])
  redis.call('HSET', KEYS[3], ARGV[2], cmsgpack.pack(fields))
  redis.call('ZADD', KEYS[2], due, ARGV[2])
elseif ARGV[4] == 'stream' then
  redis.call('XADD', KEYS[1], '*', unpack(fields))
else
  redis.call('XADD', KEYS[4], '*', unpack(fields))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 'MOVED'
