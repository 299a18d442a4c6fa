-- KEYS: record, leases (tokens by when they end)
-- ARGV: epoch, token, the most at a time, how long in ms
-- Returns now, whether it was leased (1 or 0), how many are out
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local out = redis.call('ZCARD', KEYS[2])
if (redis.call('HGET', KEYS[1], 'epoch') or '0') ~= ARGV[1] or out >= tonumber(ARGV[3]) then return { now, 0, out } end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[2])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) * 2 then redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[4]) * 2) end
return { now, 1, out + 1 }
