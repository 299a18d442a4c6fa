-- KEYS: seconds, minutes (rings of packed counts), span (since when there are any, and the last), told (sidecars' last
--       numbers), heard (sidecars by when that was)
-- ARGV: sidecar, number, calls, the most sidecars, kinds and patterns, then kind, operation and how many of each
-- Returns now, whether it was counted (1 or 0)
local seconds, minutes, span, told, heard = unpack(KEYS)
local sidecar, number, calls = ARGV[1], ARGV[2], tonumber(ARGV[3])
local most_sidecars, most_kinds, most_patterns = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(id)
  redis.call('HDEL', told, id)
  redis.call('ZREM', heard, id)
end

local function put(counts, name, many, most)
  if not counts[name] then
    local names = 0
    for _ in pairs(counts) do names = names + 1 end
    if names >= most then name = 'other' end
  end
  counts[name] = (counts[name] or 0) + many
end

local function add(ring, slots, at, with_patterns)
  local slot = at % slots
  local held = redis.call('HGET', ring, slot)
  local bucket = held and cmsgpack.unpack(held)
  if not bucket or bucket.at ~= at then bucket = { at = at, calls = 0, kinds = {}, patterns = {} } end
  bucket.calls = bucket.calls + calls
  for index = 7, #ARGV, 3 do
    local kind, operation, many = ARGV[index], ARGV[index + 1], tonumber(ARGV[index + 2])
    put(bucket.kinds, kind, many, most_kinds)
    if with_patterns then put(bucket.patterns, kind .. ':' .. operation, many, most_patterns) end
  end
  redis.call('HSET', ring, slot, cmsgpack.pack(bucket))
end

for _, id in ipairs(redis.call('ZRANGE', heard, '-inf', now - 600000, 'BYSCORE', 'LIMIT', 0, 16)) do forget(id) end
local last = redis.call('HGET', told, sidecar)
if last and tonumber(number) <= tonumber(last) then return { now, 0 } end
redis.call('HSET', told, sidecar, number)
redis.call('ZADD', heard, now, sidecar)
if redis.call('ZCARD', heard) > most_sidecars then forget(redis.call('ZRANGE', heard, 0, 0)[1]) end

local counted = redis.call('HGET', span, 'last')
if not counted or tonumber(counted) < now - 3660000 then redis.call('HSET', span, 'since', now) end
redis.call('HSET', span, 'last', now)
local second = math.floor(now / 1000)
add(seconds, 60, second, false)
add(minutes, 61, math.floor(second / 60), true)
for key, kept in pairs({ [seconds] = 120000, [minutes] = 7200000, [span] = 7200000, [told] = 1200000, [heard] = 1200000 }) do
  redis.call('PEXPIRE', key, kept)
end
return { now, 1 }
