-- One fixed POST. No request() here: wrk then formats it once and calls no Lua while it runs.
function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer none"
  file:close()
end

function done(summary)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("result %d %d %d\n", summary.requests, summary.duration, failed))
end
