-- KEYS: lock
-- ARGV: holder
-- Returns now, whether it was the holder's (1 or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends, holder = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (.*)$')
if not ends or tonumber(ends) <= now or holder ~= ARGV[1] then return { now, 0 } end
redis.call('DEL', KEYS[1])
return { now, 1 }
