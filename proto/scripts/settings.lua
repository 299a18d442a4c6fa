-- KEYS: settings
-- Returns now, version, settings
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'version', 'body')
return { now, held[1] or '0', held[2] or '' }
