-- Shared by what is done with a run.
-- KEYS: run (until, began, kept: how many parts; calls, tools, tokens, cost: sums over all parts; worst, tool: what was
--       asked for most often, and how often; p:<part>: its "calls tools tokens cost"; t:<part>: what it asked for, as
--       "print times ..."; r:<print>: how often that was asked for, over all parts)
local run = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Redis's own expiry is only there for what nobody asks for any more.
if tonumber(redis.call('HGET', run, 'until') or '0') <= now then redis.call('DEL', run) end

local function whole(number) return string.format('%.0f', number) end

-- Returns now, whether the part is kept (1 or 0), for how many ms it has run, sums, worst and its tool, then how often
-- each of `prints` was asked for.
local function told(kept, prints)
  local held = redis.call('HMGET', run, 'began', 'calls', 'tools', 'tokens', 'cost', 'worst', 'tool')
  local reply = { now, kept, whole(now - (held[1] or now)) }
  for index = 2, 6 do reply[#reply + 1] = held[index] or '0' end
  reply[#reply + 1] = held[7] or ''
  if #prints > 0 then
    for _, times in ipairs(redis.call('HMGET', run, unpack(prints))) do reply[#reply + 1] = times or '0' end
  end
  return reply
end
