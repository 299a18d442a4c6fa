-- KEYS: audit
-- ARGV: entry, the most that are kept, for how many ms they are kept
-- Returns now, the entry's number
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local number = now
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then number = math.max(now, tonumber(string.match(last[1], '^%d+')) + 1) end
redis.call('XADD', KEYS[1], 'MAXLEN', '=', ARGV[2], string.format('%.0f-0', number), 'entry', ARGV[1])
redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f-0', math.max(0, now - tonumber(ARGV[3]))))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { now, string.format('%.0f', number) }
