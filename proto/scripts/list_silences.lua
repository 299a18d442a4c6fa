-- Returns now, then id and silence of each
local all = { now }
local ids = redis.call('ZRANGE', ends, 0, -1)
if #ids == 0 then return all end
for index, body in ipairs(redis.call('HMGET', silences, unpack(ids))) do
  if body then
    all[#all + 1] = ids[index]
    all[#all + 1] = body
  end
end
return all
