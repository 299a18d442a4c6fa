-- KEYS: bodies, order
-- ARGV: the id that the page ends before (0: from the newest), the most
-- Returns now, then id and alert of each, from the newest
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from = '+inf'
if ARGV[1] ~= '0' then from = '(' .. ARGV[1] end
local page = { now }
local ids = redis.call('ZRANGE', KEYS[2], from, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, ARGV[2])
if #ids == 0 then return page end
for index, body in ipairs(redis.call('HMGET', KEYS[1], unpack(ids))) do
  if body then
    page[#page + 1] = ids[index]
    page[#page + 1] = body
  end
end
return page
