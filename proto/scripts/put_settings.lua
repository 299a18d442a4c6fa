-- KEYS: settings
-- ARGV: the version they are to replace, which is older ('': any older one), version, settings, command to publish by,
--       channel
-- Returns now, whether they were put there (1 or 0), version and settings as they are now
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'version', 'body')
local current = held[1] or '0'
local replaces = ARGV[1] == '' or current == ARGV[1]
if not replaces or tonumber(current) >= tonumber(ARGV[2]) then return { now, 0, current, held[2] or '' } end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3])
redis.call(ARGV[4], ARGV[5], ARGV[2])
return { now, 1, ARGV[2], ARGV[3] }
