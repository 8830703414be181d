-- Store one event for every trigger that matched it, or for none.
--
-- KEYS[1]    table hash
-- KEYS[2]    dedupe key of this event (not touched when the window is 0)
-- KEYS[3..]  pairs (stream, delayed set) of each matching trigger
-- ARGV[1]    revision of the table the event was evaluated against
-- ARGV[2]    cap: entries a trigger may hold (stream and delayed together)
-- ARGV[3]    dedupe window in ms, 0 for none
-- ARGV[4..]  the entry's fields and values
-- Returns    STORED | STALE | DUPLICATE | FULL
--
-- Atomicity: every refusal is decided before the first write, so an event is in all of its
-- streams or in none. A cap refuses; nothing here trims.
if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then
  return 'STALE'
end
local window = tonumber(ARGV[3])
if window > 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  return 'DUPLICATE'
end
local cap = tonumber(ARGV[2])
for i = 3, #KEYS, 2 do
  if redis.call('XLEN', KEYS[i]) + redis.call('ZCARD', KEYS[i + 1]) >= cap then
    return 'FULL'
  end
end
for i = 3, #KEYS, 2 do
  redis.call('XADD', KEYS[i], '*', unpack(ARGV, 4))
end
if window > 0 then
  redis.call('SET', KEYS[2], '1', 'PX', window)
end
return 'STORED'
