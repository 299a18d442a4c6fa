-- KEYS: audit
-- ARGV: the number that the page ends before (0: from the newest), the most
-- Returns now, then number and entry of each, from the newest
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from = '+'
if ARGV[1] ~= '0' then from = '(' .. ARGV[1] .. '-0' end
local page = { now }
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], from, '-', 'COUNT', ARGV[2])) do
  page[#page + 1] = string.match(entry[1], '^%d+')
  page[#page + 1] = entry[2][2]
end
return page
