-- KEYS: settings
-- ARGV: the version they are to replace ('': any older one), version, settings, command to publish by, channel
-- Returns now, whether they were put there (1 or 0), version and settings as they are now
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'version', 'body')
local current = held[1] or '0'
local replaces
if ARGV[1] == '' then replaces = tonumber(current) < tonumber(ARGV[2]) else replaces = current == ARGV[1] end
if not replaces then return { now, 0, current, held[2] or '' } end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3])
redis.call(ARGV[4], ARGV[5], ARGV[2])
return { now, 1, ARGV[2], ARGV[3] }
