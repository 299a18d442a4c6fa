-- ARGV: key, what is added to the alert; and how to publish
-- Returns now, id (0: it does not fire), alert
local id = redis.call('HGET', firing, ARGV[1])
local body = id and redis.call('HGET', bodies, id)
if not body then return { now, '0', '' } end
redis.call('HDEL', firing, ARGV[1])
tell(number(), id, body .. ARGV[2])
return { now, id, body .. ARGV[2] }
