-- Make a trigger table the one that every process of this broker must use.
--
-- KEYS[1]    table: hash {revision, triggers, generation}
-- KEYS[2]    set of all triggers that may have keys
-- KEYS[3..]  the stream of every trigger in the new table
-- ARGV[1]    consumer group
-- ARGV[2]    revision (digest of the table's content)
-- ARGV[3]    the table as JSON
-- ARGV[4]    'any', or 'only' with ARGV[5]: the one other revision that may be replaced ('' for none)
-- ARGV[6..]  the triggers' names, in the order of their streams
-- Returns    1 when the stored revision changed, 0 when it was this one already, -1 when it is
--            another one than may be replaced; then nothing was done.
--
-- Atomicity: streams and groups exist before the revision is visible, so an event that was
-- evaluated against this table always finds a group that will read it from its first entry.
local stored = redis.call('HGET', KEYS[1], 'revision')
if ARGV[4] == 'only' and stored and stored ~= ARGV[2] and stored ~= ARGV[5] then
  return -1
end
-- A table left behind by a deleted broker was about to expire. First of all writes, since it takes
-- no memory: after it Redis lets a script go on when it is full, as no event could be delivered else.
redis.call('PERSIST', KEYS[1])
for i = 3, #KEYS do
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[1], '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
    return made
  end
  redis.call('SADD', KEYS[2], ARGV[i + 3])
end
if stored == ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'revision', ARGV[2], 'triggers', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'generation', 1)
return 1
