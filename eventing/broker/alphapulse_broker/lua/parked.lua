-- List parked entries without their data, which may be large and is nobody's business in a list.
--
-- KEYS[1]    parked stream
-- ARGV[1]    first id, as XRANGE takes it
-- ARGV[2]    last id
-- ARGV[3]    most entries to return
-- Returns    list of {id, fields without the body, bytes of the body}
--
-- Atomicity: reads only.
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
local listed = {}
for i, entry in ipairs(found) do
  local fields, size = {}, 0
  for j = 1, #entry[2], 2 do
    if entry[2][j] == 'body' then
      size = #entry[2][j + 1]
    else
      fields[#fields + 1] = entry[2][j]
      fields[#fields + 1] = entry[2][j + 1]
    end
  end
  listed[i] = {entry[1], fields, size}
end
return listed
