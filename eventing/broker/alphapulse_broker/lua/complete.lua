-- Acknowledge and delete a delivered entry, storing its reply (if any) in the same step.
--
-- KEYS[1]    table hash
-- KEYS[2]    stream of the delivered entry
-- KEYS[3..]  pairs (stream, delayed set) of each trigger that matched the reply
-- ARGV[1]    consumer group
-- ARGV[2]    id of the delivered entry
-- ARGV[3]    revision the reply was evaluated against, '' when there is no reply
-- ARGV[4]    cap for replies
-- ARGV[5..]  the reply entry's fields and values
-- Returns    DONE | GONE (somebody completed it before) | STALE | FULL
--
-- Atomicity: the reply is written before the acknowledgement, and only while the entry is still
-- pending, so a lost answer to this script may be repeated without a second reply. Whoever holds
-- the entry may complete it: the event has been processed.
if #redis.call('XPENDING', KEYS[2], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then
  return 'GONE'
end
if ARGV[3] ~= '' then
  if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[3] then
    return 'STALE'
  end
  local cap = tonumber(ARGV[4])
  for i = 3, #KEYS, 2 do
    if redis.call('XLEN', KEYS[i]) + redis.call('ZCARD', KEYS[i + 1]) >= cap then
      return 'FULL'
    end
  end
  -- A write that takes no memory. After it Redis lets the script go on when it is full: work under
  -- way must be able to end, or nothing would ever free memory.
  redis.call('PERSIST', KEYS[2])
  for i = 3, #KEYS, 2 do
    redis.call('XADD', KEYS[i], '*', unpack(ARGV, 5))
  end
end
redis.call('XACK', KEYS[2], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[2], ARGV[2])
return 'DONE'
