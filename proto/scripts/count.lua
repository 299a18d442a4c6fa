-- KEYS: seconds, minutes (rings of packed counts), span (since when there are any, and the last minute), told (sidecars
--       by when they put together what they last told)
-- ARGV: sidecar, when it put this together, calls, the most sidecars, kinds and patterns, then kind, operation and how
--       many of each
-- Returns now, whether it was counted (1 or 0)
local seconds, minutes, span, told = unpack(KEYS)
local calls, most_kinds, most_patterns = tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest = now - 600000
if tonumber(ARGV[2]) <= oldest then return { now, 0 } end
if redis.call('ZADD', told, 'GT', 'CH', ARGV[2], ARGV[1]) == 0 then return { now, 0 } end

local function put(counts, name, many, most)
  if not counts[name] then
    local names = 0
    for _ in pairs(counts) do names = names + 1 end
    if names >= most then name = 'other' end
  end
  counts[name] = (counts[name] or 0) + many
end

-- Returns whether these are the first of that second, or minute.
local function add(ring, slots, at, with_patterns)
  local slot = at % slots
  local held = redis.call('HGET', ring, slot)
  local bucket = held and cmsgpack.unpack(held)
  local first = not bucket or bucket.at ~= at
  if first then bucket = { at = at, calls = 0, kinds = {}, patterns = {} } end
  bucket.calls = bucket.calls + calls
  for index = 7, #ARGV, 3 do
    local kind, operation, many = ARGV[index], ARGV[index + 1], tonumber(ARGV[index + 2])
    put(bucket.kinds, kind, many, most_kinds)
    if with_patterns then put(bucket.patterns, kind .. ':' .. operation, many, most_patterns) end
  end
  redis.call('HSET', ring, slot, cmsgpack.pack(bucket))
  return first
end

local second = math.floor(now / 1000)
local minute = math.floor(second / 60)
-- What need not be done each time is done by whoever comes first.
if add(minutes, 61, minute, true) then
  local last = redis.call('HGET', span, 'last')
  if not last or tonumber(last) < minute - 60 then redis.call('HSET', span, 'since', now) end
  redis.call('HSET', span, 'last', minute)
end
if add(seconds, 60, second, false) then
  redis.call('ZREMRANGEBYSCORE', told, '-inf', oldest)
  redis.call('ZREMRANGEBYRANK', told, 0, -1 - tonumber(ARGV[4]))
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 7200000) end
end
return { now, 1 }
