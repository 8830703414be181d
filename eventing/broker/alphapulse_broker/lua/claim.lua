-- Take over entries whose consumer has been silent, and say how often each was delivered.
--
-- KEYS[1]    stream
-- ARGV[1]    consumer group
-- ARGV[2]    consumer that takes over
-- ARGV[3]    idle time in ms after which an entry counts as abandoned
-- ARGV[4]    most entries to take
-- ARGV[5]    where to begin: '0-0', then what the call before returned
-- Returns    {where to go on ('0-0' at the end), list of {id, fields, deliveries including this one}}
--
-- One call looks at ten times ARGV[4] entries. Behind so many that live consumers hold there may be
-- others, which only the next call finds.
--
-- Atomicity: the count is read in the step that claims, so no other claim can come between.
local claimed = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[5], 'COUNT', ARGV[4])
local entries = {}
for _, entry in ipairs(claimed[2]) do
  if entry then
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], entry[1], entry[1], 1)
    entries[#entries + 1] = {entry[1], entry[2], pending[1][4]}
  end
end
return {claimed[1], entries}
