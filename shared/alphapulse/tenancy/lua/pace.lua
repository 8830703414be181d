-- Gives out the moments at which requests to one outside service may be sent (generic cell rate algorithm,
-- ITU-T I.371), and keeps everybody away from a service that asked for a pause.
--
-- KEYS  1 hash: t the moment up to which sent requests use up the rate, p end of the pause
-- ARGV  1 milliseconds between requests, 0 takes none; 2 how far requests may run ahead of that;
--       3 longest wait that is accepted; 4 milliseconds of pause that begin now
-- Returns {1 if the request may be sent, milliseconds to wait before it or until it is worth asking again}.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local interval, ahead, patience, pause = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local stored = redis.call('HMGET', KEYS[1], 't', 'p')
local used, paused = math.max(tonumber(stored[1] or 0), now), tonumber(stored[2] or 0)

-- Nobody waits for a minute or pauses for more than an hour: what is further ahead was written before the clock
-- was put back, or by a server whose clock was ahead of this one's.
if used > now + ahead + interval + 60000 then used = now + ahead end
if paused > now + 3660000 then paused = 0 end

if pause > 0 then
  paused = math.max(paused, now + pause)
  redis.call('HSET', KEYS[1], 'p', string.format('%.0f', paused))
  redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(used, paused) - now + 1000))
end
if paused > now then return {0, math.ceil(paused - now)} end
local wait = math.max(0, used - ahead - now)
if wait > patience then return {0, math.ceil(wait)} end
if interval > 0 then
  redis.call('HSET', KEYS[1], 't', string.format('%.3f', used + interval))
  redis.call('PEXPIRE', KEYS[1], math.ceil(used + interval - now + 1000))
end
return {1, math.ceil(wait)}
