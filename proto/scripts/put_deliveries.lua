-- KEYS: state (fence, cursor, last), bodies (by name), order (names by the number of their last change)
-- ARGV: fence, cursor ('': as it was), how long it is kept in ms, the most that are kept, how many are put, then name and
--       body of each, then the names of those that are forgotten
-- Returns now, whether the fence is the latest (1), else nothing was done (0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, bodies, order = unpack(KEYS)
local held = redis.call('HMGET', state, 'fence', 'last')
if held[1] ~= ARGV[1] then return { now, 0 } end
if ARGV[2] ~= '' then redis.call('HSET', state, 'cursor', ARGV[2]) end
local last = math.max(now, tonumber(held[2] or '0'))
local index = 6
for _ = 1, tonumber(ARGV[5]) do
  last = last + 1
  redis.call('HSET', bodies, ARGV[index], ARGV[index + 1])
  redis.call('ZADD', order, string.format('%.0f', last), ARGV[index])
  index = index + 2
end
while index <= #ARGV do
  redis.call('HDEL', bodies, ARGV[index])
  redis.call('ZREM', order, ARGV[index])
  index = index + 1
end
while redis.call('ZCARD', order) > tonumber(ARGV[4]) do
  redis.call('HDEL', bodies, redis.call('ZPOPMIN', order)[1])
end
redis.call('HSET', state, 'last', string.format('%.0f', last))
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[3]) end
return { now, 1 }
