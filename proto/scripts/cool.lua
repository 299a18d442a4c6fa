-- KEYS: cool-down
-- ARGV: until when
-- Returns now, until when
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = tonumber(redis.call('GET', KEYS[1]) or '0')
if held <= now then held = 0 end
local until_ms = tonumber(ARGV[1])
if until_ms <= held or until_ms <= now then return { now, string.format('%.0f', held) } end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[1])
return { now, ARGV[1] }
