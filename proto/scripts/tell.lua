-- ARGV: part, calls, tools, tokens, cost, for how many ms it has run, worst, its tool, the most parts, until it is
--       forgotten in ms, then prints and how often each was asked for
-- Numbers of one part only grow: what comes late, or again, changes nothing.
local part = ARGV[1]
local names, old = { 'calls', 'tools', 'tokens', 'cost' }, { 0, 0, 0, 0 }
local prints = {}
for index = 11, #ARGV, 2 do prints[#prints + 1] = 'r:' .. ARGV[index] end

local held = redis.call('HGET', run, 'p:' .. part)
if not held then
  if tonumber(redis.call('HGET', run, 'kept') or '0') >= tonumber(ARGV[9]) then return told(0, prints) end
  redis.call('HINCRBY', run, 'kept', 1)
else
  local index = 0
  for number in string.gmatch(held, '%d+') do
    index = index + 1
    old[index] = tonumber(number)
  end
end
local new = {}
for index, name in ipairs(names) do
  new[index] = math.max(old[index], tonumber(ARGV[index + 1]))
  redis.call('HINCRBY', run, name, whole(new[index] - old[index]))
  new[index] = whole(new[index])
end
redis.call('HSET', run, 'p:' .. part, table.concat(new, ' '))

-- What this part asked for: the most often that it ever said of each print that it still tells of.
local before, asked = {}, {}
for print, times in string.gmatch(redis.call('HGET', run, 't:' .. part) or '', '(%d+) (%d+)') do
  before[print] = tonumber(times)
end
for index = 11, #ARGV, 2 do
  local print, times = ARGV[index], tonumber(ARGV[index + 1])
  times = math.max(times, before[print] or 0)
  if redis.call('HINCRBY', run, 'r:' .. print, times - (before[print] or 0)) <= 0 then
    redis.call('HDEL', run, 'r:' .. print)
  end
  before[print] = nil
  asked[#asked + 1] = print .. ' ' .. whole(times)
end
for print, times in pairs(before) do
  if redis.call('HINCRBY', run, 'r:' .. print, -times) <= 0 then redis.call('HDEL', run, 'r:' .. print) end
end
redis.call('HSET', run, 't:' .. part, table.concat(asked, ' '))

local began = now - tonumber(ARGV[6])
if began < tonumber(redis.call('HGET', run, 'began') or now + 1) then redis.call('HSET', run, 'began', whole(began)) end
if tonumber(ARGV[7]) > tonumber(redis.call('HGET', run, 'worst') or '0') then
  redis.call('HSET', run, 'worst', ARGV[7], 'tool', ARGV[8])
end
redis.call('HSET', run, 'until', whole(now + tonumber(ARGV[10])))
redis.call('PEXPIRE', run, ARGV[10])
return told(1, prints)
