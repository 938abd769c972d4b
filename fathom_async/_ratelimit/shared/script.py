"""One step of the shared window as a Redis script; `fathom_async._ratelimit.shared.state` is its model and tells why.

Redis runs a script as one atomic step. Time is the server's, in microseconds. All keys share one hash tag, so
that they live on one node of a cluster, and expire an hour after the last permit came back: a client that was in
touch within that hour and finds the epoch changed knows that permits were forgotten. Its field is called ``mark``,
which clients of earlier versions read too.

A step says until when, on the server's clock, its sender waits for the reply. One that comes later, as out of the
buffers of a server that had stood still, is not carried out: its sender has long sent it again, or something else.
"""

MEMORY = 3600.0
"""Seconds for which the keys outlive everything in them."""

SCRIPT = """\
local function text(number) return string.format('%.0f', number) end
local permits, others, queue, lapse, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local action, owner, id, known = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[8]
local count, delay, reserve = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local foreign_usage = tonumber(ARGV[7])
local N, span, settle = tonumber(ARGV[9]), tonumber(ARGV[11]), tonumber(ARGV[12])
local ticket_ttl, max_tickets, memory = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local terms, step_back = ARGV[9] .. '/' .. ARGV[10], tonumber(ARGV[16])
local fewer, known_total, until_when = tonumber(ARGV[17]), tonumber(ARGV[18]), tonumber(ARGV[19])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local arrival = text(now)
if until_when > 0 and now > until_when then return {'late', arrival} end

local function get(field) return tonumber(redis.call('HGET', meta, field) or '0') end
local function put(field, value) redis.call('HSET', meta, field, text(value)) end

if get('last') - now > step_back then redis.call('DEL', unpack(KEYS)) end
if now < get('last') then now = get('last') end

local function tidy()
  for _, key in ipairs({permits, others}) do redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now)) end
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', lapse, '-inf', text(now))) do
    redis.call('ZREM', queue, gone)
    redis.call('ZREM', lapse, gone)
  end
end
tidy()

local old = redis.call('HGET', meta, 'terms')
if old and old ~= terms then
  local busy = redis.call('ZCARD', permits) + redis.call('ZCARD', others) + redis.call('ZCARD', queue)
  if busy > 0 or get('blocked') > now then return {'terms', old, arrival} end
  redis.call('DEL', unpack(KEYS))
end

local epoch = redis.call('HGET', meta, 'mark')
if not epoch then
  epoch = owner
  redis.call('HSET', meta, 'mark', epoch, 'terms', terms)
  if known ~= '0' then put('blocked', now + span) end
elseif known ~= '0' and known ~= epoch then
  put('blocked', math.max(get('blocked'), now + span))
elseif known ~= '0' and known_total > get('total') then
  put('blocked', math.max(get('blocked'), now + span))
  put('total', known_total)
end
put('last', now)

local function own() return redis.call('ZCARD', permits) end
local function held() return own() + redis.call('ZCARD', others) end

local function returns(keys, most)
  local times = {}
  for _, key in ipairs(keys) do
    local found = redis.call('ZRANGE', key, 0, most, 'WITHSCORES')
    for i = 2, #found, 2 do times[#times + 1] = tonumber(found[i]) end
  end
  table.sort(times)
  return times
end

local function nth(keys, size, index)
  if index < 0 then return now end
  if size == 0 then return now + span end
  local turns, place = math.floor(index / size), index % size
  return returns(keys, place)[place + 1] + turns * span
end

local function grant(first, most, till)
  local free = math.min(most, N - held())
  for i = 0, free - 1 do redis.call('ZADD', permits, text(till), text(first + i)) end
  if free > 0 then put('total', get('total') + free) end
end

local function wait_for(ahead)
  local all = held()
  local most = N - fewer
  local due = math.max(nth({permits, others}, all, all - most + ahead),
                       nth({permits}, own(), own() - most + reserve + ahead))
  if due > now + span then
    local turns = 0
    if ahead >= most - reserve then turns = math.min((due - now) / 2, delay) end
    due = now + math.max(settle, turns)
  end
  return math.max(due, get('blocked')) - now
end

local granted, wait = 0, 0
if action == 'ask' then
  local room = math.min(N - held(), N - reserve - own()) - fewer
  if get('blocked') > now then room = 0 end
  local ahead, waiting = redis.call('ZRANK', queue, owner), redis.call('ZCARD', queue)
  local rest = waiting
  if ahead then rest = waiting - 1 else ahead = waiting end
  if room > ahead then
    granted = math.min(count, math.max(1, room - rest))
    redis.call('ZREM', queue, owner)
    redis.call('ZREM', lapse, owner)
    grant(id, granted, now + delay)
    ahead = rest
  end
  if granted < count then
    wait = math.floor(wait_for(ahead))
    if redis.call('ZSCORE', queue, owner) or redis.call('ZCARD', queue) < max_tickets then
      redis.call('ZADD', queue, 'NX', redis.call('HINCRBY', meta, 'ticket', 1), owner)
      redis.call('ZADD', lapse, text(now + wait + ticket_ttl), owner)
    end
  end
elseif action == 'hold' then
  if redis.call('ZSCORE', permits, text(id)) then
    redis.call('ZADD', permits, text(now + delay), text(id))
  else
    grant(id, 1, now + delay)
  end
elseif action == 'answered' then
  local till = redis.call('ZSCORE', permits, text(id))
  if till then redis.call('ZADD', permits, text(math.min(tonumber(till), now + delay)), text(id)) end
  if foreign_usage then
    local foreign = math.min(foreign_usage - get('total') - redis.call('ZCARD', others), N - held())
    for i = 1, foreign do
      redis.call('ZADD', others, text(now + delay), redis.call('HINCRBY', meta, 'foreign', 1))
    end
  end
elseif action == 'freed' then
  for i = 0, count - 1 do redis.call('ZREM', permits, text(id + i)) end
elseif action == 'leave' then
  redis.call('ZREM', queue, owner)
  redis.call('ZREM', lapse, owner)
elseif action == 'pause' then
  put('blocked', math.max(get('blocked'), now + delay))
  put('pauses', get('pauses') + 1)
end
tidy()

local waiting = redis.call('ZCARD', queue)
if redis.call('ZSCORE', queue, owner) then waiting = waiting - 1 end
local latest = get('blocked')
for _, key in ipairs({permits, others, lapse}) do
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then latest = math.max(latest, tonumber(last[2])) end
end
local keep = text(math.ceil((math.max(latest - now, 0) + memory) / 1000))
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, keep) end
local first = 0
if held() > 0 then first = nth({permits, others}, held(), 0) - now end
return {granted, wait, held(), own() - get('total'), waiting, math.max(0, get('blocked') - now),
        get('pauses'), tonumber(epoch), first, get('total'), arrival}
"""
