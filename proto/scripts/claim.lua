-- KEYS: claim (until, since, holder; body, once it is done)
-- ARGV: holder, how long in ms
-- Returns now, what it is (0: the holder's, 1: another's, 2: done), since when, holder or body
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'until', 'since', 'holder', 'body')
local lives = tonumber(held[1] or '0') > now
if lives and held[4] then return { now, 2, held[2], held[4] } end
if lives and held[3] ~= ARGV[1] then return { now, 1, held[2], held[3] } end
local since = lives and held[2] or string.format('%.0f', now)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])), 'since', since, 'holder', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { now, 0, since, ARGV[1] }
