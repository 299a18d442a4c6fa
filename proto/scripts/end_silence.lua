-- ARGV: id, command to publish by, channel
-- Returns now, id (0: there is none), silence
local body = redis.call('ZSCORE', ends, ARGV[1]) and redis.call('HGET', silences, ARGV[1])
if not body then return { now, '0', '' } end
redis.call('HDEL', silences, ARGV[1])
redis.call('ZREM', ends, ARGV[1])
changed()
return { now, ARGV[1], body }
