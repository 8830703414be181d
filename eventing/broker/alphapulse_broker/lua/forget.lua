-- Delete consumers that left nothing behind: processes that ended without saying so.
--
-- KEYS[1]    stream
-- ARGV[1]    consumer group
-- ARGV[2]    idle time in ms after which an empty consumer counts as ended
-- Returns    number of consumers deleted
--
-- Atomicity: as in release.lua, deletion happens in the step that saw no pending entries. A live
-- consumer deleted by mistake is made again by its next read.
local deleted = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local info = {}
  for i = 1, #consumer, 2 do
    info[consumer[i]] = consumer[i + 1]
  end
  if info['pending'] == 0 and info['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], info['name'])
    deleted = deleted + 1
  end
end
return deleted
