-- What the scripts that change alerts begin with. KEYS: events, firing (ids by key), bodies (by id; key:id, by:id),
-- order (ids). ARGV ends with the command to publish by and the channel
local events, firing, bodies, order = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The next event's number, which a new alert takes for its id.
local function number()
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
  if last then return math.max(now, tonumber(string.match(last[1], '^%d+')) + 1) end
  return now
end

-- Keeps an alert as it is now, and tells of it.
local function tell(event, id, body)
  redis.call('HSET', bodies, id, body)
  redis.call('XADD', events, 'MAXLEN', 10000, string.format('%.0f-0', event), 'alert', id, 'body', body)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 2592000000) end
  redis.call(ARGV[#ARGV - 1], ARGV[#ARGV], string.format('%.0f', event))
end
