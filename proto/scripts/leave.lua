-- KEYS: beats, live, ids
-- ARGV: sidecar
-- Returns now, live sidecars
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return { now, redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf') }
