-- KEYS: claim
-- ARGV: holder
-- Returns now, whether it was the holder's (1 or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'until', 'holder')
if tonumber(held[1] or '0') <= now or held[2] ~= ARGV[1] then return { now, 0 } end
redis.call('DEL', KEYS[1])
return { now, 1 }
