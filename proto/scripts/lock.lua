-- KEYS: lock ("until holder")
-- ARGV: holder, how long in ms
-- Returns now, whether it is the holder's (1 or 0), whose it is
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends, holder = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (.*)$')
if ends and tonumber(ends) > now and holder ~= ARGV[1] then return { now, 0, holder } end
redis.call('SET', KEYS[1], string.format('%.0f ', now + tonumber(ARGV[2])) .. ARGV[1], 'PX', ARGV[2])
return { now, 1, ARGV[1] }
