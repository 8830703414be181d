-- Takes one request from each of the given allowances, or from none of them.
--
-- KEYS  one hash per allowance: w minute, c requests in it, p requests in the one before, d day, n requests
--       of the day, y of the day before
-- ARGV  1 seconds since 1970, empty for this server's clock; then three per key:
--       requests per minute; requests per day, -1 unlimited, -2 not counted; requests of today that were
--       let through while this server was away
-- Returns {0 or the first key that refuses, then per key: remaining, milliseconds to the end of the minute
-- or until it stops refusing, requests of the day, 1 if it is the day's allowance that is used up}.
--
-- A sliding window of two counters: the minute before counts by the share of it that is less than a minute
-- ago. Never more than the allowance within a minute, if the requests of the minute before came evenly.

local seconds = tonumber(ARGV[1])
if not seconds then
  local time = redis.call('TIME')
  seconds = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local minute, day = math.floor(seconds / 60), math.floor(seconds / 86400)

local states, answer, refusing = {}, {0}, 0
for i, key in ipairs(KEYS) do
  local most, daily, late = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local stored = redis.call('HMGET', key, 'w', 'c', 'p', 'd', 'n', 'y')
  local w, c, p = tonumber(stored[1] or -1), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
  local d, n, y = tonumber(stored[4] or -1), tonumber(stored[5] or 0), tonumber(stored[6] or 0)
  local into = seconds - minute * 60
  if w > minute then
    into = 0 -- the clock was put back; the minute it was in goes on
  elseif w < minute then
    p = w == minute - 1 and c or 0
    w, c = minute, 0
  end
  if d < day then
    y = d == day - 1 and n or 0
    d, n = day, 0
  end
  n = n + late

  local used = c + p * (1 - into / 60)
  local waits, full, spent = 0, used + 1 > most, daily >= 0 and n >= daily
  if spent then
    waits = (d + 1) * 86400 - seconds
  elseif full and c + 1 > most then
    -- Not before this minute's requests are the ones of the minute before.
    waits = 60 - into + 60 * (1 - (most - 1) / c)
  elseif full then
    waits = 60 * (1 - (most - c - 1) / p) - into
  end
  if (full or spent) and refusing == 0 then refusing = i end
  states[i] = {key = key, w = w, c = c, p = p, d = d, n = n, y = y, into = into, late = late,
    used = used, most = most, waits = waits, spent = spent, new = w ~= tonumber(stored[1] or -1),
    refuses = full or spent, daily = daily}
end

local taken = refusing == 0 and 1 or 0
for _, s in ipairs(states) do
  if taken == 1 or s.late > 0 then
    if s.daily == -2 then
      redis.call('HSET', s.key, 'w', s.w, 'c', s.c + taken, 'p', s.p)
      if s.new then redis.call('EXPIRE', s.key, 150) end
    else
      redis.call('HSET', s.key, 'w', s.w, 'c', s.c + taken, 'p', s.p, 'd', s.d, 'n', s.n + taken, 'y', s.y)
      if s.new then redis.call('EXPIRE', s.key, 172800) end
    end
  end
  local at = #answer
  answer[at + 1] = math.max(0, math.floor(s.most - s.used - taken))
  answer[at + 2] = math.ceil((s.refuses and s.waits or 60 - s.into) * 1000)
  answer[at + 3] = s.daily == -2 and 0 or s.n + taken
  answer[at + 4] = s.spent and 1 or 0
end
answer[1] = refusing
return answer
