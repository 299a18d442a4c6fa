-- KEYS: events
-- ARGV: the event that the page begins after, the most
-- Returns now, then event, id and alert as it was then of each, from the oldest
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local page = { now }
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])) do
  page[#page + 1] = string.match(entry[1], '^%d+')
  page[#page + 1] = entry[2][2]
  page[#page + 1] = entry[2][4]
end
return page
