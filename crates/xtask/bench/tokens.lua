-- For wrk: asks for a different token each time, as different user agents, from requests made before the run.
-- wrk … -s tokens.lua URL -- FILE_OF_PATHS FILE_OF_AGENTS
-- Prints the figures as one line of JSON, latencies in microseconds.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local function lines(name)
  local all = {}
  for line in io.lines(name) do
    if line ~= "" then all[#all + 1] = line end
  end
  assert(#all > 0, name .. " is empty")
  return all
end

local requests = {}
local at = 0

function init(args)
  local paths, agents = lines(args[1]), lines(args[2])
  local host = wrk.headers["Host"]
  for i, path in ipairs(paths) do
    requests[i] = "GET " .. path .. " HTTP/1.1\r\nHost: " .. host ..
      "\r\nUser-Agent: " .. agents[i % #agents + 1] .. "\r\nAccept: */*\r\n\r\n"
  end
  -- Threads start far apart, so that they do not ask for the same tokens.
  at = number * 37501 % #requests
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"p99_9_us":%d,"max_us":%d,"status_errors":%d,"socket_errors":%d}',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
