-- Say that deliveries still run, so that nobody takes their entries over; or hand entries back.
--
-- KEYS[1]    stream
-- ARGV[1]    consumer group
-- ARGV[2]    consumer
-- ARGV[3]    idle time in ms to set: 0 keeps the entries, a long one lets the next claim take them
-- ARGV[4..]  ids of entries
-- Returns    the ids that this consumer does not hold any more
--
-- Atomicity: ownership is checked in the step that renews it, so a heartbeat that comes late
-- never takes an entry back from the consumer that rescued it.
local held, lost = {}, {}
for i = 4, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if #pending == 1 and pending[1][2] == ARGV[2] then
    held[#held + 1] = ARGV[i]
  else
    lost[#lost + 1] = ARGV[i]
  end
end
if #held > 0 then
  held[#held + 1] = 'IDLE'
  held[#held + 1] = ARGV[3]
  held[#held + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, unpack(held))
end
return lost
