-- KEYS: minutes
-- ARGV: how many minutes, the present one among them
-- Returns now, the present minute, then minute, calls, and a list of kinds and counts, of each that something was
--         counted in
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local minute = math.floor(now / 60000)
local reply = { now, minute }
for _, held in ipairs(redis.call('HVALS', KEYS[1])) do
  local bucket = cmsgpack.unpack(held)
  if bucket.at > minute - tonumber(ARGV[1]) and bucket.at <= minute then
    local kinds = {}
    for kind, many in pairs(bucket.kinds) do
      kinds[#kinds + 1] = kind
      kinds[#kinds + 1] = many
    end
    reply[#reply + 1] = bucket.at
    reply[#reply + 1] = bucket.calls
    reply[#reply + 1] = kinds
  end
end
return reply
