-- KEYS: claim
-- ARGV: body, how long it is kept in ms
-- Returns now, whether this is the answer that all get (1), or there was one already (0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'until', 'body')
if held[2] and tonumber(held[1]) > now then return { now, 0 } end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])), 'since', string.format('%.0f', now),
  'body', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { now, 1 }
