-- Take over entries whose consumer has been silent, and say how often each was delivered.
--
-- KEYS[1]    stream
-- ARGV[1]    consumer group
-- ARGV[2]    consumer that takes over
-- ARGV[3]    idle time in ms after which an entry counts as abandoned
-- ARGV[4]    most entries to take
-- Returns    list of {id, fields, deliveries including this one}
--
-- Atomicity: the count is read in the step that claims, so no other claim can come between.
local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], '0-0', 'COUNT', ARGV[4])
local entries = {}
for _, entry in ipairs(claimed[2]) do
  if entry then
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)
    entries[#entries + 1] = {entry[1], entry[2], pending[1][4]}
  end
end
return entries
