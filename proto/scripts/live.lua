-- KEYS: beats, live, ids
-- ARGV: the sidecar that the page begins after ('': from the first), the most, for how many ms one may be gone
-- Returns now, the sidecar that the next page begins after ('': this is the last), then when, whether it is there (1 or
--         0), and heartbeat of each
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local from = '-'
if ARGV[1] ~= '' then from = '(' .. ARGV[1] end
local ids = redis.call('ZRANGE', KEYS[3], from, '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
local page = { now, '' }
if #ids == 0 then return page end
if #ids == tonumber(ARGV[2]) then page[2] = ids[#ids] end
local ends = redis.call('ZMSCORE', KEYS[2], unpack(ids))
for index, beat in ipairs(redis.call('HMGET', KEYS[1], unpack(ids))) do
  local left = tonumber(ends[index] or '0') - now
  if beat and left > -tonumber(ARGV[3]) then
    local space = string.find(beat, ' ', 1, true)
    page[#page + 1] = string.sub(beat, 1, space - 1)
    page[#page + 1] = left > 0 and 1 or 0
    page[#page + 1] = string.sub(beat, space + 1)
  end
end
return page
