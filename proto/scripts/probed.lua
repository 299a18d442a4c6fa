-- KEYS: record, leases, probes
-- ARGV: epoch, token, what became of it ('good', 'bad', or '': nothing can be said), how long to remember it in ms
-- Returns now, good probes, bad probes of the epoch
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[2], ARGV[2])
if redis.call('HGET', KEYS[3], 'epoch') ~= ARGV[1] then
  if (redis.call('HGET', KEYS[1], 'epoch') or '0') ~= ARGV[1] then return { now, '0', '0' } end
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[3], 'epoch', ARGV[1])
end
if ARGV[3] ~= '' and redis.call('HSETNX', KEYS[3], 'token:' .. ARGV[2], ARGV[3]) == 1 then
  redis.call('HINCRBY', KEYS[3], ARGV[3], 1)
end
redis.call('PEXPIRE', KEYS[3], ARGV[4])
local proved = redis.call('HMGET', KEYS[3], 'good', 'bad')
return { now, proved[1] or '0', proved[2] or '0' }
