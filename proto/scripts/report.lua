-- KEYS: record, reports (by sidecar: "calls failures run"), failures (sidecars by how many), seen (sidecars by when
--       they last reported), runs (sidecars by when their run of failures began), sums, probes, cool-down
-- ARGV: sidecar, epoch, window in ms, calls, failures, run, run began, last good call (0: none)
-- Returns now, epoch, record, calls, failures, most failures, run, most of it, good probes, bad probes, cool until,
--         last good call
local record, reports, failures, seen, runs, sums, probes, cool = unpack(KEYS)
local sidecar, epoch, window = ARGV[1], ARGV[2], tonumber(ARGV[3])
local calls, failed, run, began, good = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', record, 'epoch', 'body')
local current = held[1] or '0'

-- Of another epoch; or outlived, which is judged here and not left to Redis, whose expiry of five keys is five events;
-- or one of the keys was evicted, without which the others' sums would stay wrong.
local of = redis.call('HMGET', sums, 'epoch', 'until')
local whole = redis.call('HLEN', reports) == redis.call('ZCARD', seen)
if of[1] ~= current or now >= tonumber(of[2] or '0') or not whole then
  redis.call('DEL', reports, failures, seen, runs, sums)
end

local function forget(id)
  local old = redis.call('HGET', reports, id)
  if not old then return end
  local c, f = string.match(old, '^(%d+) (%d+)')
  if c ~= '0' then redis.call('HINCRBY', sums, 'calls', '-' .. c) end
  if f ~= '0' then redis.call('HINCRBY', sums, 'failures', '-' .. f) end
  redis.call('HDEL', reports, id)
  redis.call('ZREM', failures, id)
  redis.call('ZREM', seen, id)
  redis.call('ZREM', runs, id)
end

if epoch == current then
  forget(sidecar)
  if calls ~= '0' or run ~= '0' then
    redis.call('HSET', reports, sidecar, calls .. ' ' .. failed .. ' ' .. run)
    redis.call('HINCRBY', sums, 'calls', calls)
    if failed ~= '0' then
      redis.call('HINCRBY', sums, 'failures', failed)
      redis.call('ZADD', failures, failed, sidecar)
    end
    if run ~= '0' then redis.call('ZADD', runs, began, sidecar) end
    redis.call('ZADD', seen, now, sidecar)
  end
  -- One whose clock is ahead must not call good what is yet to come.
  good = math.min(good, now)
  if good > tonumber(redis.call('HGET', sums, 'good') or '0') then redis.call('HSET', sums, 'good', good) end
  redis.call('HSET', sums, 'epoch', current, 'until', now + window * 2)
  for _, key in ipairs({ reports, failures, seen, runs, sums }) do redis.call('PEXPIREAT', key, now + window * 2) end
end
for _, id in ipairs(redis.call('ZRANGE', seen, '-inf', now - window, 'BYSCORE', 'LIMIT', 0, 16)) do forget(id) end

local sum = redis.call('HMGET', sums, 'calls', 'failures', 'good')
local most = redis.call('ZRANGE', failures, 0, 0, 'REV', 'WITHSCORES')
local run_sum, run_most = 0, 0
local running = redis.call('ZRANGE', runs, '(' .. (sum[3] or '0'), '+inf', 'BYSCORE', 'LIMIT', 0, 64)
if #running > 0 then
  for _, report in ipairs(redis.call('HMGET', reports, unpack(running))) do
    local length = tonumber(string.match(report or '0', '(%d+)$'))
    run_sum = run_sum + length
    run_most = math.max(run_most, length)
  end
end
local until_ms = redis.call('GET', cool) or '0'
if tonumber(until_ms) <= now then until_ms = '0' end
local proved = redis.call('HMGET', probes, 'epoch', 'good', 'bad')
if proved[1] ~= current then proved = {} end
return { now, current, held[2] or '', sum[1] or '0', sum[2] or '0', most[2] or '0', run_sum, run_most,
  proved[2] or '0', proved[3] or '0', until_ms, sum[3] or '0' }
