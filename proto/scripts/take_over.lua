-- KEYS: state (fence, cursor, last)
-- ARGV: how long it is kept in ms
-- Returns now, the fence, the cursor (0: none)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'fence', 'cursor')
-- No earlier than the time, so that it grows even if what was kept is lost.
local fence = string.format('%.0f', math.max(now, tonumber(held[1] or '0') + 1))
redis.call('HSET', KEYS[1], 'fence', fence)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return { now, fence, held[2] or '0' }
