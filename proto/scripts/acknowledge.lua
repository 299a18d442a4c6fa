-- ARGV: id, what is added to the alert; and how to publish
-- Returns now, id (0: there is none), alert
local body = redis.call('HGET', bodies, ARGV[1])
if not body then return { now, '0', '' } end
if redis.call('HSETNX', bodies, 'by:' .. ARGV[1], '1') == 1 then
  body = body .. ARGV[2]
  tell(number(), ARGV[1], body)
end
return { now, ARGV[1], body }
