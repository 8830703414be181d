-- Put delayed entries whose time has come back into their streams.
--
-- KEYS[1]    table hash
-- KEYS[2..]  triples (delayed set, bodies, stream) of each trigger
-- ARGV[1]    most entries to promote per trigger
-- Returns    {revision of the table (false when there is none), entries promoted}
--
-- Atomicity: an entry is added to the stream before it leaves the delayed set, in one step.
local now = redis.call('TIME')
local due = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local promoted = 0
for i = 2, #KEYS, 3 do
  local ids = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', due, 'LIMIT', 0, ARGV[1])
  if #ids > 0 then
    -- A write that takes no memory. After it Redis lets the script go on when it is full; the
    -- entries leave their old place in the same step.
    redis.call('PERSIST', KEYS[i])
  end
  for _, id in ipairs(ids) do
    local packed = redis.call('HGET', KEYS[i + 1], id)
    if packed then
      redis.call('XADD', KEYS[i + 2], '*', unpack(cmsgpack.unpack(packed)))
      promoted = promoted + 1
    end
    redis.call('ZREM', KEYS[i], id)
    redis.call('HDEL', KEYS[i + 1], id)
  end
end
return {redis.call('HGET', KEYS[1], 'revision'), promoted}
