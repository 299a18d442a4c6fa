-- What the scripts about silences begin with. KEYS: silences (by id; last: the newest id), ends (ids by when they end)
local silences, ends = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- What has ended is gone, which is judged here and not left to Redis.
local over = redis.call('ZRANGE', ends, '-inf', now, 'BYSCORE')
if #over > 0 then
  redis.call('HDEL', silences, unpack(over))
  redis.call('ZREM', ends, unpack(over))
end

-- Redis forgets what nobody asks for once the last of them has ended, and whoever watches is told.
local function changed()
  local last = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')[2]
  for _, key in ipairs(KEYS) do
    if last == 'inf' then
      redis.call('PERSIST', key)
    else
      redis.call('PEXPIRE', key, string.format('%.0f', math.max(60000, tonumber(last or now) - now)))
    end
  end
  redis.call(ARGV[#ARGV - 1], ARGV[#ARGV], 'silences')
end
