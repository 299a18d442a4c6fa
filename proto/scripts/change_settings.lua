-- KEYS: settings, audit
-- ARGV: the version they are to replace, which is older, version, settings, command to publish by, channel,
--       entry, the most that are kept, for how many ms they are kept
-- Returns now, whether they were put there and that is in the log (1 or 0), version and settings as they are now
local held = redis.call('HMGET', KEYS[1], 'version', 'body')
local current = held[1] or '0'
if current ~= ARGV[1] or tonumber(current) >= tonumber(ARGV[2]) then return { now, 0, current, held[2] or '' } end
append(KEYS[2], ARGV[6], ARGV[7], ARGV[8])
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3])
redis.call(ARGV[4], ARGV[5], ARGV[2])
return { now, 1, ARGV[2], ARGV[3] }
