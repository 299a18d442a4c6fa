-- KEYS: bodies, order
-- ARGV: the change that the page begins after, the most
-- Returns now, how many are kept, then number, name and body of each, from the one that was changed first
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local page = { now, redis.call('ZCARD', KEYS[2]) }
local changed = redis.call('ZRANGE', KEYS[2], '(' .. ARGV[1], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES')
for index = 1, #changed, 2 do
  local body = redis.call('HGET', KEYS[1], changed[index])
  if body then
    page[#page + 1] = string.format('%.0f', tonumber(changed[index + 1]))
    page[#page + 1] = changed[index]
    page[#page + 1] = body
  end
end
return page
