-- KEYS: seconds, minutes, span
-- Returns now, since when the hour's are counted, calls of the minute and of the hour, then lists of names and counts:
--         kinds of the minute, kinds of the hour, patterns of the hour
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local second = math.floor(now / 1000)
local minute = math.floor(second / 60)

local function add(into, counts)
  for name, many in pairs(counts) do into[name] = (into[name] or 0) + many end
end

local function sum(ring, first, last)
  local total = { calls = 0, kinds = {}, patterns = {} }
  for _, held in ipairs(redis.call('HVALS', ring)) do
    local bucket = cmsgpack.unpack(held)
    if bucket.at >= first and bucket.at <= last then
      total.calls = total.calls + bucket.calls
      add(total.kinds, bucket.kinds)
      add(total.patterns, bucket.patterns)
    end
  end
  return total
end

local function list(counts)
  local names = {}
  for name, many in pairs(counts) do
    names[#names + 1] = name
    names[#names + 1] = many
  end
  return names
end

local of_minute = sum(KEYS[1], second - 59, second)
local of_hour = sum(KEYS[2], minute - 60, minute)
local held = redis.call('HMGET', KEYS[3], 'since', 'last')
local since = now
if held[1] and tonumber(held[2]) >= now - 3660000 then since = math.max(tonumber(held[1]), (minute - 60) * 60000) end
return { now, since, of_minute.calls, of_hour.calls, list(of_minute.kinds), list(of_hour.kinds),
  list(of_hour.patterns) }
