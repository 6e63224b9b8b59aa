import { AHEAD_MS, HOLD_MS } from './ledger.ts';
import { SEEN_MS } from './engine.ts';
import { EXACT } from './plan.ts';

/** A window is forgotten this long after it is full again. Its numbers are of no use by then. */
const KEPT_MS = 60_000;

/** The engine's time in ms. Tests give it. */
const NOW = `local now = tonumber(ARGV[1])
if now == nil then
  local time = redis.call('TIME')
  now = time[1] * 1000 + time[2] / 1000
end
local function text(number) return string.format('%.6f', number) end
`;

/** `lease` in Lua. KEYS[1]: a hash. ARGV: now, interval, burst, want, need, owed, back units, back end, known version, known tat. */
export const LEASE = `${NOW}
local interval, burst, want, need = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local owed, units, back, version, tat = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local before = redis.call('HMGET', KEYS[1], 'tat', 'version', 'hold')
local old = tonumber(before[2] or '0')
local hold = tonumber(before[3] or '0')
local lost = version > old
if lost then hold = now + ${HOLD_MS} else version = old end
version = version + 1
local held = now < hold
local from = math.max(now, tonumber(before[1] or '0'))
if held then from = math.max(from, tat) end
from = from + owed * interval
if not held then from = from - math.max(0, math.min(units * interval, back - now)) end
local granted = math.min(want, math.floor((now + ${AHEAD_MS} - from) / interval + burst + ${EXACT}))
if held or granted < need or granted < 0 then granted = 0 end
tat = from + granted * interval
redis.call('HSET', KEYS[1], 'tat', text(tat), 'version', version, 'hold', text(hold))
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(tat, hold) - now + ${KEPT_MS}))
return { text(now), granted, text(from), text(tat), version, text(hold) }
`;

/** KEYS: a sorted set of replicas by the time when they were seen, and the generation. ARGV: now, the replica, a new generation. */
export const MUSTER = `${NOW}
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ${SEEN_MS})
redis.call('SET', KEYS[2], ARGV[3], 'NX')
return { redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2]) }
`;

/** The fact of KEYS[1], a hash of text and end, in `there`, and how long it is kept in `left`. `there` is false if there is none. */
const FACT = `${NOW}
local fact = redis.call('HMGET', KEYS[1], 'text', 'end')
local left = tonumber(fact[2] or '0') - now
local there = left > 0 and fact[1]
local function keep(value, ms)
  redis.call('HSET', KEYS[1], 'text', value, 'end', text(now + ms))
  redis.call('PEXPIRE', KEYS[1], math.ceil(ms))
end
`;

/** ARGV: now. */
export const READ = `${FACT}
if there then return { there, text(left) } end
return {}
`;

/** ARGV: now, text, ms. */
export const WRITE = `${FACT}
keep(ARGV[2], tonumber(ARGV[3]))
return {}
`;

/** ARGV: now, text, ms. */
export const CLAIM = `${FACT}
if there then return { there, text(left) } end
keep(ARGV[2], tonumber(ARGV[3]))
return {}
`;

/** ARGV: now, expected, text, ms. */
export const EXCHANGE = `${FACT}
if there ~= ARGV[2] then return { 0 } end
local ms = tonumber(ARGV[4])
if ms > 0 then keep(ARGV[3], ms) else redis.call('DEL', KEYS[1]) end
return { 1 }
`;
