-- What wrk sends, and what it takes for an answer. Arguments after `--`: a mode, and a file of requests.
--
--   noop   one line with a token; any 200 will do
--   known  one line, user and token; each answer names that user
--   first  a line for each request, user and token; each answer names a user who was asked for and not answered yet
--   post   a line for each request, a body; each answer has a token pair
--
-- One wrong answer is one too many: `done` prints how many there were, and how the first one looked.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local lines, at, waiting = {}, 0, {}
wrong, seen, short = 0, "", 0

function init(arguments)
  mode = arguments[1]
  for line in io.lines(arguments[2]) do
    lines[#lines + 1] = line
  end
  if mode == "noop" then
    wrk.headers["Authorization"] = "Bearer " .. lines[1]
    once = wrk.format()
  elseif mode == "known" then
    user, token = lines[1]:match("(%S+) (%S+)")
    wrk.headers["Authorization"] = "Bearer " .. token
    once = wrk.format()
  elseif mode == "post" then
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
  end
end

function request()
  if once then
    return once
  end
  if at == #lines then
    short = 1
    wrk.thread:stop()
    return wrk.format("GET", "/nothing-left")
  end
  at = at + 1
  if mode == "post" then
    return wrk.format(nil, nil, nil, lines[at])
  end
  local asked, token = lines[at]:match("(%S+) (%S+)")
  waiting[asked] = (waiting[asked] or 0) + 1
  wrk.headers["Authorization"] = "Bearer " .. token
  return wrk.format()
end

local function is_right(status, headers, body)
  if status ~= 200 then
    return false
  elseif mode == "noop" then
    return true
  elseif mode == "known" then
    return headers["x-auth-user"] == user
  elseif mode == "post" then
    return body:find('"access_token":"eyJ', 1, true) ~= nil and body:find('"refresh_token":"eyJ', 1, true) ~= nil
  end
  local named = headers["x-auth-user"] or ""
  local left = waiting[named] or 0
  waiting[named] = left - 1
  return left > 0
end

function response(status, headers, body)
  if short == 0 and not is_right(status, headers, body) then
    wrong = wrong + 1
    if wrong == 1 then
      seen = status .. " " .. body
    end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  local bad, left, first = 0, 0, ""
  for _, thread in ipairs(threads) do
    bad, left = bad + thread:get("wrong"), left + thread:get("short")
    first = first .. thread:get("seen")
  end
  local form = '\n{"requests": %d, "us": %d, "wrong": %d, "failed": %d, "short": %d, "mean": %f, "p50": %d, "p99": %d}\n'
  io.write(form:format(summary.requests, summary.duration, bad, failed, left, latency.mean, latency:percentile(50), latency:percentile(99)))
  io.write(first, "\n")
end
