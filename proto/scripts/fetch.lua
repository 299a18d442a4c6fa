-- KEYS: answer ("until body")
-- Returns now, whether there is one (1 or 0), body
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('GET', KEYS[1])
local space = held and string.find(held, ' ', 1, true)
if not space or tonumber(string.sub(held, 1, space - 1)) <= now then return { now, 0, '' } end
return { now, 1, string.sub(held, space + 1) }
