-- Distinct requests for wrk: Truework bodies that differ by a number, or Truora tokens read from a file, one a line.
-- Arguments: kind ("truework" | "truora"), seconds, head and tail of the request (truework) or the file of tokens (truora).
-- Requests leave for `seconds`; afterwards each connection asks for a path that nobody serves until wrk ends, so that no
-- answer to a counted request is cut off: the number of 2xx is then exact.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
]]

local moment = ffi.new("moment")
local function clock()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

local IDLE = "GET /nobody HTTP/1.1\r\nHost: hooks.example\r\n\r\n"
local kind, seconds, before, after, tokens, stop
local number = 0

local function content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function init(args)
  kind, seconds = args[1], tonumber(args[2])
  if kind == "truework" then
    before, after = content(args[3]), content(args[4])
  else
    tokens = assert(io.open(args[3], "rb"))
  end
end

function request()
  local now = clock()
  stop = stop or now + seconds
  if now > stop then return IDLE end
  number = number + 1
  if kind == "truework" then
    return before .. string.format("%012d", number) .. after
  end
  local token = tokens:read("*l")
  if not token then return IDLE end
  return "POST /hooks/truora HTTP/1.1\r\nHost: hooks.example\r\nContent-Type: application/jwt\r\nContent-Length: "
    .. #token .. "\r\n\r\n" .. token
end

function done(summary, latency, requests)
  io.write(string.format(
    "RESULT answered=%d refused=%d broken=%d\n",
    summary.requests, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  ))
end
