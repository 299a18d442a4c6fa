-- KEYS: answer ("until body")
-- ARGV: body, how long it is kept in ms
-- Returns now
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], string.format('%.0f ', now + tonumber(ARGV[2])) .. ARGV[1], 'PX', ARGV[2])
return { now }
