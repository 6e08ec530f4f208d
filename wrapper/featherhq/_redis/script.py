"""The script that reserves a slot of a shared rate limit. It runs in Redis, so one clock and one order hold for all.

At most `burst` slots lie within any `period`, and at most `count` within any `window`. A server accepts that whether it
counts a token bucket, a sliding window or fixed windows. All times in the script are in microseconds, because Lua in
Redis hands on whole numbers only.
"""

from __future__ import annotations

from typing import Final

# Three facts need a reason. Without a list of reserved times, Redis is new or has come back empty, so a burst may just
# have happened. A member from the future shows that the clock was set back. And a time is compared with the one `burst`
# places before, and not with the last one, because the times need not be in order.
RESERVE: Final = """
local reserved, sharers, held = KEYS[1], KEYS[2], KEYS[3]
local burst, period, count, window = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local spread, longest, hold = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local latest = redis.call('ZREVRANGE', sharers, 0, 0, 'WITHSCORES')[2]
if latest and latest - now > 1000000 then redis.call('DEL', reserved, sharers, held) end
redis.call('ZADD', sharers, now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', sharers, '-inf', now - 60000000)
if redis.call('EXISTS', reserved) == 0 then
  for place = count, 1, -1 do
    redis.call('RPUSH', reserved, now - math.floor((place - 1) / burst) * period)
  end
end
if hold > 0 then
  redis.call('SET', held, math.max(now + hold, redis.call('GET', held) or 0), 'PX', 60000)
end
local function after(place, length) return (redis.call('LINDEX', reserved, -place) or 0) + length end
local slot = math.max(now, redis.call('GET', held) or 0, after(burst, period), after(count, window))
if spread > 0 then slot = math.max(slot, after(1, math.ceil(window / count))) end
local found = slot - now <= longest
if found then
  redis.call('RPUSH', reserved, slot)
  redis.call('LTRIM', reserved, -count, -1)
end
redis.call('PEXPIRE', reserved, 86400000)
redis.call('PEXPIRE', sharers, 86400000)
return {found and 1 or 0, slot - now, redis.call('ZCARD', sharers)}
"""
