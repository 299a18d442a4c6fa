-- KEYS: bucket (balance, in sixty-thousandths of a unit, and at: when it was that)
-- ARGV: units a minute, the most it holds, what a new one holds, units put in, charged, left by the provider's own count
--       ('': not known), wanted, the least that is of use
-- Returns now, units given, whole units left, in how many ms the least is there
local rate, full, put, charge = tonumber(ARGV[1]), ARGV[2] * 60000, ARGV[4] * 60000, ARGV[5] * 60000
local remaining, want, least = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local balance = ARGV[3] * 60000
local held = redis.call('HMGET', KEYS[1], 'balance', 'at')
if held[1] and held[2] and now - held[2] < 3600000 then
  balance = math.min(held[1] + math.max(now - held[2], 0) * rate, full)
end
balance = math.min(balance + put, full)
balance = math.min(balance, math.max(balance - charge, -rate * 60000))
if remaining then balance = math.min(balance, remaining * 60000) end

local given = math.min(want, math.max(math.floor(balance / 60000), 0))
if given < least then
  if least * 60000 > full and balance >= full then given = least else given = 0 end
end
balance = balance - given * 60000
redis.call('HSET', KEYS[1], 'balance', string.format('%.0f', balance), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], 3600000)

local ready = 0
if given == 0 and least > 0 then
  ready = 3600000
  if rate > 0 then ready = math.min(ready, math.ceil((math.min(least * 60000, full) - balance) / rate)) end
end
return { now, given, math.max(math.floor(balance / 60000), 0), ready }
