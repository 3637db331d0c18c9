"""What the Redis queue does on the server: Lua scripts, each of which happens whole or not at all.

For each queue: sorted sets of ids `due` (by when they may be received), `leased` (by when that ends) and `dead` (by
when they died), in milliseconds of the server's clock; hashes of `bodies`, `attempts`, `receipts` and `reasons` by
id; and the list `bell`, on which receivers sleep. The first arguments are always the most attempts and the reason of
those that die in silence.
"""

from __future__ import annotations

KEYS = ("due", "leased", "dead", "bodies", "attempts", "receipts", "reasons", "bell")

_COMMON = """
local due, leased, dead, bodies, attempts, receipts, reasons, bell = unpack(KEYS)
local most_attempts, silence = tonumber(ARGV[1]), ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function ring(times)
  for _ = 1, math.min(times, 32) do redis.call('RPUSH', bell, '1') end
  redis.call('LTRIM', bell, -64, -1)
end

local function die(id, reason)
  redis.call('ZREM', due, id)
  redis.call('ZREM', leased, id)
  redis.call('HDEL', receipts, id)
  redis.call('HSET', reasons, id, reason)
  redis.call('ZADD', dead, now, id)
end

local function forget(id)
  for _, set in ipairs({due, leased, dead}) do redis.call('ZREM', set, id) end
  for _, hash in ipairs({bodies, attempts, receipts, reasons}) do redis.call('HDEL', hash, id) end
end

local function end_leases()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leased, '-inf', now, 'LIMIT', 0, 1000)) do
    if tonumber(redis.call('HGET', attempts, id) or 0) >= most_attempts then
      die(id, silence)
    else
      redis.call('ZREM', leased, id)
      redis.call('ZADD', due, now, id)
    end
  end
end

local function held(id, receipt)
  return redis.call('HGET', receipts, id) == receipt
end

local function wanted()  -- of dead letters: those named, or all
  if ARGV[3] == 'all' then return redis.call('ZRANGE', dead, 0, -1) end
  local ids = {}
  for at = 4, #ARGV do
    if redis.call('ZSCORE', dead, ARGV[at]) then table.insert(ids, ARGV[at]) end
  end
  return ids
end
"""

SEND = """
local at = now + tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  -- Sent once more, as a client does whose first call was answered too late: it may be leased by now.
  if redis.call('HSETNX', bodies, ARGV[i], ARGV[i + 1]) == 1 then redis.call('ZADD', due, at, ARGV[i]) end
end
ring((#ARGV - 3) / 2)
"""
"""After how many ms; then ids and bodies in turns."""

LEASE = """
end_leases()
local found = {}
for i, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local body = redis.call('HGET', bodies, id)
  if body then
    local receipt = ARGV[5] .. '-' .. i
    redis.call('ZREM', due, id)
    redis.call('ZADD', leased, now + tonumber(ARGV[4]), id)
    redis.call('HSET', receipts, id, receipt)
    table.insert(found, {id, body, redis.call('HINCRBY', attempts, id, 1), receipt})
  else
    forget(id)
  end
end
local next_ms = -1
for _, set in ipairs({due, leased}) do
  local first = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[2] then
    local left = math.max(0, tonumber(first[2]) - now)
    if next_ms < 0 or left < next_ms then next_ms = left end
  end
end
return {found, next_ms}
"""
"""How many, for how many ms, and a receipt's beginning; gives them, and in how many ms the next may be due."""

EXTEND = """
if not held(ARGV[3], ARGV[4]) then return 0 end
redis.call('ZREM', due, ARGV[3])
redis.call('ZADD', leased, now + tonumber(ARGV[5]), ARGV[3])
return 1
"""
"""An id, its receipt, for how many ms; gives whether it was held, as all below do."""

ACKNOWLEDGE = """
if not held(ARGV[3], ARGV[4]) then return 0 end
forget(ARGV[3])
return 1
"""

RETRY = """
if not held(ARGV[3], ARGV[4]) then return 0 end
redis.call('ZREM', leased, ARGV[3])
redis.call('HDEL', receipts, ARGV[3])
redis.call('ZADD', due, now + tonumber(ARGV[5]), ARGV[3])
ring(1)
return 1
"""

BURY = """
if not held(ARGV[3], ARGV[4]) then return 0 end
die(ARGV[3], ARGV[5])
return 1
"""

DEPTH = """
end_leases()
return {
  redis.call('ZCOUNT', due, '-inf', now),
  redis.call('ZCOUNT', due, '(' .. now, '+inf'),
  redis.call('ZCARD', leased),
  redis.call('ZCARD', dead)
}
"""

DEAD = """
end_leases()
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', dead, 0, tonumber(ARGV[3]) - 1)) do
  table.insert(found, {
    id, redis.call('HGET', bodies, id) or '{}', tonumber(redis.call('HGET', attempts, id) or 0),
    redis.call('HGET', reasons, id) or '', tonumber(redis.call('ZSCORE', dead, id))
  })
end
return found
"""

REVIVE = """
local ids = wanted()
for _, id in ipairs(ids) do
  redis.call('ZREM', dead, id)
  redis.call('HDEL', reasons, id)
  redis.call('HDEL', attempts, id)
  redis.call('ZADD', due, now, id)
end
ring(#ids)
return #ids
"""
"""`all`, or `these` and ids; gives how many there were, as the next does."""

DROP = """
local ids = wanted()
for _, id in ipairs(ids) do forget(id) end
return #ids
"""


def script(body: str) -> str:
    """A script as the server gets it."""
    return _COMMON + body
