-- Let the empty table of a deleted broker expire.
--
-- KEYS[1]    table hash
-- ARGV[1]    revision of the empty table
-- ARGV[2]    seconds until it is gone
-- Returns    1 when the table will expire, 0 when another table (or none) is in force
--
-- Atomicity: the revision is checked in the step that sets the expiry. The table is not deleted
-- at once, since a process that still holds an older one would take that for lost data and
-- publish it again.
if redis.call('HGET', KEYS[1], 'revision') ~= ARGV[1] then
  return 0
end
return redis.call('EXPIRE', KEYS[1], ARGV[2])
