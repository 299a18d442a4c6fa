-- ARGV: key, alert, the most that fire, the most that are kept; and how to publish
-- Returns now, what came of it (2: raised, 1: it fires already, 0: too many fire), id, alert
local known = redis.call('HGET', firing, ARGV[1])
local body = known and redis.call('HGET', bodies, known)
if body then return { now, 1, known, body } end
if redis.call('HLEN', firing) >= tonumber(ARGV[3]) then return { now, 0, '0', '' } end
local event = number()
local id = string.format('%.0f', event)
redis.call('HSET', firing, ARGV[1], id)
redis.call('HSET', bodies, 'key:' .. id, ARGV[1])
redis.call('ZADD', order, id, id)
tell(event, id, ARGV[2])
while redis.call('ZCARD', order) > tonumber(ARGV[4]) do
  local old = redis.call('ZPOPMIN', order)[1]
  local key = redis.call('HGET', bodies, 'key:' .. old)
  if key and redis.call('HGET', firing, key) == old then redis.call('HDEL', firing, key) end
  redis.call('HDEL', bodies, old, 'key:' .. old, 'by:' .. old)
end
return { now, 2, id, ARGV[2] }
