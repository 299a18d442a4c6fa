-- KEYS: record
-- ARGV: the epoch it is to replace ('': any older one), epoch, record, command to publish by, channel
-- Returns now, whether it was put there (1 or 0), epoch and record as they are now
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'epoch', 'body')
local current = held[1] or '0'
local replaces
if ARGV[1] == '' then replaces = tonumber(current) < tonumber(ARGV[2]) else replaces = current == ARGV[1] end
if not replaces then return { now, 0, current, held[2] or '' } end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'body', ARGV[3])
redis.call(ARGV[4], ARGV[5], ARGV[2] .. ' ' .. ARGV[3])
return { now, 1, ARGV[2], ARGV[3] }
