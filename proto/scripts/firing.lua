-- KEYS: firing, bodies
-- Returns now, then id and alert of each
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = { now }
local ids = redis.call('HVALS', KEYS[1])
if #ids == 0 then return all end
for index, body in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
  if body then
    all[#all + 1] = ids[index]
    all[#all + 1] = body
  end
end
return all
