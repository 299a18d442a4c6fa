-- KEYS: record, leases (tokens by when they end), cool-down
-- Returns now, epoch and record, probes that are out, cool until
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'epoch', 'body')
local until_ms = redis.call('GET', KEYS[3]) or '0'
if tonumber(until_ms) <= now then until_ms = '0' end
return { now, held[1] or '0', held[2] or '', redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf'),
  until_ms }
