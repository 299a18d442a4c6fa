-- KEYS: beats (by sidecar: "when heartbeat"), live (sidecars by when they are taken for gone), ids (sidecars by name),
--       settings
-- ARGV: sidecar, heartbeat, how long it holds in ms, the most sidecars, how long all is kept in ms, for how many ms
--       those that are gone are remembered
-- Returns now, live sidecars, the settings' version
local beats, live, ids, settings = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(id)
  redis.call('ZREM', live, id)
  redis.call('ZREM', ids, id)
  redis.call('HDEL', beats, id)
end

local gone = now - tonumber(ARGV[6])
for _, id in ipairs(redis.call('ZRANGE', live, '-inf', gone, 'BYSCORE', 'LIMIT', 0, 16)) do forget(id) end
redis.call('HSET', beats, ARGV[1], string.format('%.0f ', now) .. ARGV[2])
redis.call('ZADD', live, now + tonumber(ARGV[3]), ARGV[1])
redis.call('ZADD', ids, 0, ARGV[1])
if redis.call('ZCARD', live) > tonumber(ARGV[4]) then forget(redis.call('ZRANGE', live, 0, 0)[1]) end
for _, key in ipairs({ beats, live, ids }) do redis.call('PEXPIRE', key, ARGV[5]) end
return { now, redis.call('ZCOUNT', live, '(' .. string.format('%.0f', now), '+inf'),
  redis.call('HGET', settings, 'version') or '0' }
