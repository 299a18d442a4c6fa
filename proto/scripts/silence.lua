-- ARGV: silence, when it ends (0: not by itself), the most that there may be, command to publish by, channel
-- Returns now, its id (0: there are too many)
if redis.call('ZCARD', ends) >= tonumber(ARGV[3]) then return { now, '0' } end
local id = string.format('%.0f', math.max(now, tonumber(redis.call('HGET', silences, 'last') or '0') + 1))
redis.call('HSET', silences, id, ARGV[1], 'last', id)
redis.call('ZADD', ends, ARGV[2] == '0' and '+inf' or ARGV[2], id)
changed()
return { now, id }
