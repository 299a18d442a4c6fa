-- What the scripts that write into the audit log begin with.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Adds an entry to the log at key, and forgets those that are too many or too old; returns its number.
local function append(key, entry, most, kept_ms)
  local number = now
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  if last then number = math.max(now, tonumber(string.match(last[1], '^%d+')) + 1) end
  redis.call('XADD', key, 'MAXLEN', '=', most, string.format('%.0f-0', number), 'entry', entry)
  redis.call('XTRIM', key, 'MINID', '=', string.format('%.0f-0', math.max(0, now - tonumber(kept_ms))))
  redis.call('PEXPIRE', key, kept_ms)
  return number
end
