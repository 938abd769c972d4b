-- One step of the shared window. Redis runs a script as one atomic step; `state.py` beside this file is its model, has
-- its rules, whose numbers stand here too, and tells why. Time is the server's, in microseconds.
--
-- All keys share one hash tag, so that they live on one node of a cluster, and expire an hour after the last permit
-- came back, but `meta` a day later, since it knows which classes were seen. A client that was in touch within that
-- hour and finds the epoch changed knows that permits were forgotten.
--
-- A step says until when, on the server's clock, its sender waits for the reply. One that comes later, as out of the
-- buffers of a server that had stood still, is not carried out: its sender has long sent it again, or something else.
--
-- permits  sorted set: our permits, by when they come back    others  the same, of those held for other clients
-- flying   sorted set: permits whose request is in flight, by when it ends at the latest
-- queue    sorted set: "owner * 4 + class", by class * CLASS + ticket    lapse  the same, by when the ticket lapses
-- counts   hash: how many requests wait behind a ticket    meta   hash: everything else
local permits, others, flying, queue, lapse, counts, meta = unpack(KEYS)
local config, step = cjson.decode(ARGV[1]), cjson.decode(ARGV[2])
local span, ttl = config.span, config.ticket_ttl
local CLASS, CLASSES, BULK = 1e13, 4, 2
local HAIR = 1

local function text(number) return string.format('%.0f', number) end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local arrival = text(now)
if step.until_when > 0 and now > step.until_when then return {'late', arrival} end

local fields = {} -- of `meta`, read once
local pairs_of_meta = redis.call('HGETALL', meta)
for i = 1, #pairs_of_meta, 2 do fields[pairs_of_meta[i]] = pairs_of_meta[i + 1] end

local function get(field) return tonumber(fields[field] or '0') end
local function put(field, value)
  fields[field] = value
  redis.call('HSET', meta, field, string.format('%.17g', value))
end

local function forget()
  fields = {}
  redis.call('DEL', unpack(KEYS))
end

local function raise(field, value) put(field, math.max(get(field), value)) end

if get('last') - now > config.clock_step then forget() end
now = math.max(now, get('last'))

local function remove_ticket(ticket)
  redis.call('ZREM', queue, ticket)
  redis.call('ZREM', lapse, ticket)
  redis.call('HDEL', counts, ticket)
end

local function remove_lapsed()
  for _, permit in ipairs(redis.call('ZRANGEBYSCORE', permits, '-inf', text(now))) do
    redis.call('ZREM', flying, permit)
  end
  for _, key in ipairs({permits, others, flying}) do
    redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
  end
  for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', lapse, '-inf', text(now))) do remove_ticket(ticket) end
end

local old = fields.terms
local has_other_terms = old and old ~= config.terms
if step.plan ~= 0 and not has_other_terms and get('plan') ~= step.plan and get('plan_until') > now then -- rule 13
  return {'plan', get('plan'), arrival} -- a step that is rejected changes nothing
end
remove_lapsed()

if has_other_terms then
  local busy = redis.call('ZCARD', permits) + redis.call('ZCARD', others) + redis.call('ZCARD', queue)
  if busy > 0 or math.max(get('blocked'), get('plan_until')) > now then return {'terms', old, arrival} end
  forget()
end

if step.plan ~= 0 and (step.action ~= 'look' or get('plan') == step.plan) then
  put('plan', step.plan)
  put('plan_until', now + config.plan_for)
end

-- Rule 12: memory that was lost.

local function distrust()
  put('unsure', now + span)
  put('probe', 0)
  raise('blocked', now + (span <= config.longest_waited_out and span or 2 * config.settle))
end

if get('epoch') == 0 then
  put('epoch', step.owner == step.known and step.owner + 1 or step.owner)
  redis.call('HSET', meta, 'terms', config.terms)
end
if step.known ~= 0 and step.known ~= get('epoch') and get('suspect') == 0 then
  put('suspect', 1)
  distrust()
elseif step.known == get('epoch') and step.known_total > get('total') then
  put('total', step.known_total)
  distrust()
elseif (get('ours_until') > now and redis.call('EXISTS', permits) == 0)
    or (get('others_until') > now and redis.call('EXISTS', others) == 0) then
  distrust() -- the server evicted this key alone
end
put('last', now)

-- Rules 1 to 4: permits.

local function count_own() return redis.call('ZCARD', permits) end
local function count_held() return count_own() + redis.call('ZCARD', others) end
local usable = config.requests - step.fewer - step.reserve

local function first_returns(keys, most)
  local times = {}
  for _, key in ipairs(keys) do
    local found = redis.call('ZRANGE', key, 0, most, 'WITHSCORES')
    for i = 2, #found, 2 do times[#times + 1] = tonumber(found[i]) end
  end
  table.sort(times)
  return times
end

local function nth_return(keys, size, index)
  if index < 0 then return now end
  if size == 0 then return now + span end
  local turns, place = math.floor(index / size), index % size
  return first_returns(keys, place)[place + 1] + turns * span
end

local function grant(first, count, till)
  local free = math.min(count, config.requests - count_held())
  for i = 0, free - 1 do redis.call('ZADD', permits, text(till), text(first + i)) end
  if free > 0 then put('total', get('total') + free) end
end

local function hold_for_others(count, till)
  for _ = 1, math.min(count, config.requests - count_held()) do
    redis.call('ZADD', others, text(till), redis.call('HINCRBY', meta, 'foreign', 1))
  end
end

local function shorten()
  local till = redis.call('ZSCORE', permits, text(step.id))
  if till and step.delay > 0 then
    redis.call('ZADD', permits, text(math.min(tonumber(till), now + step.delay)), text(step.id))
  end
  redis.call('ZREM', flying, text(step.id))
end

-- Rule 8: the forecast and the promise.

local function note(class, count)
  if class >= BULK then return end
  local passed, memory = now - get('began' .. class), config.forecast_memory
  if passed >= memory or get('seen' .. class) == 0 then
    local is_next = passed < 2 * memory
    put('before' .. class, is_next and get('count' .. class) or 0)
    put('count' .. class, 0)
    put('began' .. class, is_next and now - passed % memory or now)
  end
  put('count' .. class, get('count' .. class) + count)
  put('seen' .. class, now)
end

local function arrivals(class)
  local passed = (now - get('began' .. class)) / config.forecast_memory
  if passed < 1 then return get('count' .. class) + get('before' .. class) * (1 - passed) end
  return get('count' .. class) * math.max(0, 2 - passed)
end

local function wanted(class)
  local is_expected, sum = false, 0
  for each = 0, class - 1 do
    local seen = get('seen' .. each)
    is_expected = is_expected or (seen > 0 and now - seen < config.seen_for)
    sum = sum + arrivals(each)
  end
  if not is_expected then return 0 end
  local expected = math.ceil(config.safety * (sum / config.forecast_memory * span))
  return math.min(usable - 1, math.max(2, math.floor(usable / 50)) + expected)
end

local function usable_from(count)  -- when each of the first permits can be used
  local held = count_held()
  local free = math.max(0, usable - held)
  local skipped = math.max(0, held - usable)
  local times = {}
  if free < count then times = first_returns({permits, others}, skipped + count - free) end
  return free, function(index)
    if index < free then return now end
    return math.min(times[skipped + index - free + 1], now + span)
  end
end

local function promised_at(returns, left, ahead)
  local at, apart = -math.huge, config.stretch * span / usable
  for number = 1, left do
    local turns, index = math.floor((ahead + number) / usable), (ahead + number) % usable
    at = math.max(at, returns(index) + turns * span - number * apart)
  end
  return at
end

local function promised(count, left)
  local free, returns = usable_from(math.min(usable, count + left + 1))
  while free < usable and free <= count + left and returns(free) <= now + HAIR do free = free + 1 end
  local taken = math.min(count, math.max(0, free - left))
  while taken < count and promised_at(returns, left, taken) <= now + HAIR do taken = taken + 1 end
  return taken
end

-- Rules 10 and 11: requests in flight.

local function learned_cap()
  if get('cap') == 0 then return 0 end
  return get('cap') + (now - get('since') >= get('calm') and 1 or 0)
end

local function proved(in_flight)
  if get('cap') > 0 and get('cap') < in_flight and now - get('since') >= get('calm') then
    put('cap', get('cap') + 1)
    put('since', now)
  end
end

local function lower_cap(let_in)
  local cap = learned_cap()
  if cap > 0 and let_in >= cap then return end
  if cap > get('cap') and get('cap') > 0 then put('calm', math.min(2 * get('calm'), config.longest_calm)) end
  if get('calm') == 0 then put('calm', config.calm) end
  put('cap', math.max(1, let_in))
  put('since', now)
end

local function cap_now()
  local cap = 0
  for _, each in ipairs({step.cap, learned_cap(), get('unsure') > now and 1 or 0}) do
    if each > 0 and (cap == 0 or each < cap) then cap = each end
  end
  return cap
end

local function crowd()
  local cap = cap_now()
  return cap > 0 and cap - redis.call('ZCARD', flying) or math.huge
end

local function look_again(excess)
  local usual = get('usual')
  if usual == 0 then usual = config.settle / config.look_again end
  return math.min(math.max(usual * excess / cap_now() / config.look_again, config.shortest_look), config.settle)
end

-- Rules 5 to 7, and 9: the queue.

local function ticket_of(class) return text(step.owner * CLASSES + class) end
local function due(class)
  if class == 0 then return 0 end
  return math.floor(get('passed' .. class) / config.passes)
end

local function count_tickets(class) return redis.call('ZCOUNT', queue, text(class * CLASS), '(' .. text((class + 1) * CLASS)) end

local function due_now(class)
  local first = redis.call('ZRANGEBYSCORE', queue, text(class * CLASS), '(' .. text((class + 1) * CLASS), 'LIMIT', 0, 1)
  if not first[1] or tonumber(redis.call('ZSCORE', lapse, first[1])) > now + ttl then return 0 end
  return due(class)
end

local function order(class)  -- how many permits go before our ticket, tickets of it behind ours, and what it is due
  local score = redis.call('ZSCORE', queue, ticket_of(class))
  local equals = count_tickets(class)
  local position = equals
  if score then position = redis.call('ZCOUNT', queue, text(class * CLASS), '(' .. score) end
  local is_due = position == 0 and due(class) or 0
  if is_due > 0 then return 0, 0, is_due end
  local ahead = redis.call('ZCOUNT', queue, '-inf', '(' .. text(class * CLASS)) + position
  for each = class + 1, BULK do ahead = ahead + due_now(each) end
  return ahead, equals - position - (score and 1 or 0), 0
end

local function wait_for(ahead)
  local held, own, most = count_held(), count_own(), usable + step.reserve
  local at = math.max(nth_return({permits, others}, held, held - most + ahead),
                      nth_return({permits}, own, own - usable + ahead))
  if at > now + span then
    local turns, half = math.floor(ahead / usable), 0
    if turns > 0 then half = math.min((at - now) / 2, (turns + 1) * span / 2, step.delay) end
    at = now + math.max(config.settle, half)
  end
  return math.max(at, get('blocked')) - now
end

local function admit(class, first, granted)
  remove_ticket(ticket_of(class))
  grant(first, granted, now + step.delay)
  for i = 0, granted - 1 do redis.call('ZADD', flying, text(now + step.delay - span), text(first + i)) end
  redis.call('ZREMRANGEBYSCORE', flying, '-inf', text(now))
  if get('unsure') > now then put('probe', first) end
  if get('held' .. class) > 0 then put('held' .. class, 0) end
  for each = math.max(1, class), BULK do
    local field = 'passed' .. each
    local is_waiting = count_tickets(each) > 0 or step.waiting[each + 1] > 0
    local most = is_waiting and config.most_passes or config.passes
    if each == class then
      put(field, math.max(0, get(field) - config.passes * granted))
    else
      put(field, math.min(get(field) + (is_waiting and granted or 0), most))
    end
  end
end

local function left_by(class, is_due) return is_due > 0 and 0 or wanted(class) end

local function held_for(class, left)  -- for how long the promise may still hold a class back
  local since = get('held' .. class)
  return (since > 0 and since or now) + config.passes * span / left - now
end

local function serve(class, most, before)  -- how many permits a class is granted, and whether as due
  local ahead, behind, is_due = order(class)
  local room = math.min(usable + step.reserve - count_held(), usable - count_own(), crowd())
  if get('blocked') > now or room <= ahead then return 0, false end
  local could = math.min(most, room, is_due > 0 and is_due or math.max(1, room - ahead - behind))
  local granted = could
  local left = left_by(class, is_due)
  if left > 0 then
    granted = promised(could, left)
    if granted == 0 and held_for(class, left) <= HAIR then granted = 1 end
  end
  if granted > 0 then admit(class, step.id + before, granted) end
  if granted < could and get('held' .. class) == 0 then put('held' .. class, now) end
  return granted, is_due > 0
end

local function queue_up(class, served)
  local ahead, _, is_due = order(class)
  local left, wait = left_by(class, is_due), wait_for(ahead)
  if left > 0 then
    local _, returns = usable_from(math.min(usable, (ahead % usable) + left + 1))
    if ahead + left >= usable then _, returns = usable_from(usable) end
    local longest = math.min(held_for(class, left), config.passes * span / usable)
    wait = math.max(wait, math.min(promised_at(returns, left, ahead) - now, longest))
  end
  local passed = class > 0 and get('passed' .. class) or 0
  if passed > 0 and is_due == 0 then
    wait = math.min(wait, math.max(math.max(config.passes - passed, 1) * span / usable, get('blocked') - now))
  end
  local excess = ahead + 1 - crowd()
  if excess > 0 then wait = math.max(wait, look_again(excess)) end
  wait = math.floor(wait)
  local ticket = ticket_of(class)
  if redis.call('ZSCORE', queue, ticket) or redis.call('ZCARD', queue) < config.max_tickets then
    redis.call('ZADD', queue, 'NX', text(class * CLASS + redis.call('HINCRBY', meta, 'ticket', 1)), ticket)
    redis.call('ZADD', lapse, text(now + wait + ttl), ticket)
    redis.call('HSET', counts, ticket, step.waiting[class + 1] - served)
  end
  return wait
end

local granted, as_due, wait = 0, {0, 0, 0}, 0
local actions = {}

function actions.ask()
  local dues, rest = {}, {}
  for class = 0, BULK do
    if class < BULK and step.arrived[class + 1] > 0 then note(class, step.arrived[class + 1]) end
    if step.waiting[class + 1] == 0 then remove_ticket(ticket_of(class)) end
  end
  for class = 0, BULK do
    if step.waiting[class + 1] > 0 then
      local _, _, is_due = order(class)
      table.insert(is_due > 0 and dues or rest, class)
    end
  end
  wait = math.huge
  for i = 1, #dues + #rest do
    local class = dues[i] or rest[i - #dues]
    local most = math.min(step.waiting[class + 1], step.count - granted)
    local served, is_due = 0, false
    if most > 0 then served, is_due = serve(class, most, granted) end
    granted = granted + served
    if is_due then as_due[class + 1] = served end
    if served < step.waiting[class + 1] then wait = math.min(wait, queue_up(class, served)) end
  end
  if wait == math.huge or granted == step.count then wait = 0 end
end

function actions.hold()
  if redis.call('ZSCORE', permits, text(step.id)) then
    redis.call('ZADD', permits, text(now + step.delay), text(step.id))
  else
    grant(step.id, 1, now + step.delay)
  end
end

function actions.answered()
  put('heard', now)
  if step.took > 0 then
    local usual = get('usual')
    put('usual', usual > 0 and usual + (step.took - usual) / 8 or step.took)
  end
  if redis.call('ZSCORE', permits, text(step.id)) then proved(redis.call('ZCARD', flying)) end
  shorten()
  if step.foreign_usage then
    hold_for_others(step.foreign_usage - get('total') - redis.call('ZCARD', others), now + step.delay)
  end
  if get('unsure') > now and get('probe') == step.id then
    if step.foreign_usage then put('unsure', now) else raise('blocked', get('unsure')) end
  end
end

actions.abandoned = shorten

function actions.freed()
  for i = 0, step.count - 1 do
    redis.call('ZREM', permits, text(step.id + i))
    redis.call('ZREM', flying, text(step.id + i))
  end
end

function actions.leave()
  for class = 0, BULK do remove_ticket(ticket_of(class)) end
end

function actions.pause()
  raise('blocked', now + step.delay)
  put('pauses', get('pauses') + 1)
  put('heard', 0)
end

function actions.crowd() lower_cap(math.max(step.count, redis.call('ZCARD', flying))) end
function actions.expect() note(step.priority, 0) end
function actions.move() put('moved', step.count) end
function actions.look() end

actions[step.action]()
remove_lapsed()

local queues, places, owners, waiting = {{}, {}, {}}, {}, {}, 0
local all = redis.call('ZRANGE', queue, 0, -1)
local behind = #all > 0 and redis.call('HMGET', counts, unpack(all))
for i, ticket in ipairs(all) do
  local owner, class = math.floor(ticket / CLASSES), ticket % CLASSES
  if owner ~= step.owner then
    table.insert(queues[class + 1], tonumber(behind[i] or 1))
    if not owners[owner] then waiting = waiting + 1 end
    owners[owner] = true
  else
    places[class + 1] = #queues[class + 1]
  end
end
for class = 1, BULK + 1 do places[class] = places[class] or #queues[class] end

local first, last = math.huge, 0
local latest = math.max(get('blocked'), get('unsure'))
for _, key in ipairs({permits, others, lapse}) do
  local ends = {redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2], redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]}
  if ends[1] then
    latest = math.max(latest, tonumber(ends[2]))
    if key ~= lapse then first, last = math.min(first, tonumber(ends[1])), math.max(last, tonumber(ends[2])) end
  end
end
put('ours_until', tonumber(redis.call('ZRANGE', permits, -1, -1, 'WITHSCORES')[2] or 0))
put('others_until', tonumber(redis.call('ZRANGE', others, -1, -1, 'WITHSCORES')[2] or 0))
if last == 0 then first, last = now, now end
local keep = math.max(latest - now, 0) + config.memory
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, text(math.ceil((key == meta and keep + config.seen_for or keep) / 1000)))
end

return {
  granted, as_due, wait, count_held(), count_own() - get('total'), waiting, math.max(0, get('blocked') - now), get('pauses'),
  get('epoch'), first - now, last - now, get('total'), get('heard') > 0 and now - get('heard') or config.never, math.max(0, get('unsure') - now), learned_cap(), get('moved'),
  queues, {wanted(0), wanted(1), wanted(2)}, places, arrival,
}
