"""A ledger of keys on Redis, for workers on several machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from featherhq import _validation
from featherhq._core.secrets import Secret
from featherhq._lazy import Lazy
from featherhq._redis.clients import connector
from featherhq.errors import LedgerError, one_line
from featherhq.ledgers import DEFAULT_EXPIRES, Claims, Entry, Intent

if TYPE_CHECKING:
    import redis
else:
    # For whoever asks what the annotations mean.
    redis = Lazy("redis")

# Each script is one atomic step, and reads the time of the Redis server. The keys: the entry (a hash), the ids of the
# messages of its thread (a sorted set, by the time when they were recorded), the keys of that thread without a receipt
# (a hash of JSON).
_HEAD: Final = """
local t = redis.call('TIME'); local now = t[1] + t[2] / 1e6
local key, thread, text, expires = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local e = {}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do e[flat[i]] = flat[i + 1] end
local function keep() for _, k in ipairs(KEYS) do redis.call('EXPIRE', k, math.ceil(expires)) end end
"""
_BEGIN: Final = f"""{_HEAD}
local attempt, after, seconds = ARGV[5], ARGV[6], tonumber(ARGV[7])
if attempt ~= '' and not e.receipt and (e.attempt or '') == after then
  e.thread, e.text, e.attempt = thread, text, attempt
  e.began, e.lease = e.began or tostring(now), tostring(now + seconds)
  redis.call('HSET', KEYS[1], 'thread', thread, 'text', text, 'attempt', attempt, 'began', e.began, 'lease', e.lease)
  redis.call('HSET', KEYS[3], key, cjson.encode({{text, now + seconds}}))
  keep()
end
if not e.attempt then return nil end
return {{e.thread, e.text, e.attempt, tostring(now - e.began), tostring(e.lease - now), e.receipt or ''}}
"""
_DONE: Final = f"""{_HEAD}
local attempt, message, receipt = ARGV[5], ARGV[6], ARGV[7]
if e.receipt then return e.receipt end
if message == '' then
  if e.attempt == attempt then redis.call('DEL', KEYS[1]); redis.call('HDEL', KEYS[3], key) end
  return nil
end
local answered = e.attempt and e.attempt == attempt and tonumber(e.lease) > now
if redis.call('ZSCORE', KEYS[2], message) and not answered then return nil end
redis.call('HSET', KEYS[1], 'thread', thread, 'text', text, 'message', message, 'receipt', receipt)
redis.call('HSETNX', KEYS[1], 'attempt', attempt)
redis.call('HSETNX', KEYS[1], 'began', now)
redis.call('HSETNX', KEYS[1], 'lease', now)
redis.call('ZADD', KEYS[2], now, message)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - expires)
redis.call('HDEL', KEYS[3], key)
keep()
return receipt
"""
_CLAIMED: Final = f"""{_HEAD}
local ids, open, busy = {{}}, {{}}, 0
local listed = redis.call('ZRANGEBYSCORE', KEYS[2], now - expires, '+inf', 'WITHSCORES')
for i = 1, #listed, 2 do
  if listed[i] ~= e.message then ids[#ids + 1] = {{listed[i], now - listed[i + 1]}} end
end
local others = redis.call('HGETALL', KEYS[3])
for i = 1, #others, 2 do
  local other = cjson.decode(others[i + 1])
  if other[2] < now - expires then redis.call('HDEL', KEYS[3], others[i])
  elseif others[i] ~= key then
    open[#open + 1] = other[1]
    if other[1] == text then busy = math.max(busy, other[2] - now) end
  end
end
return cjson.encode({{ids = ids, open = open, busy = busy}})
"""


class RedisLedger:
    """A ledger of keys on a Redis server (`Feather(ledger=…)`), for workers on one or several machines.

    It needs the extra `featherhq[redis]`. Redis must keep what it has acknowledged: switch on its append-only file, and
    do not let it evict keys. All times are by the clock of the Redis server.

    For example::

        from featherhq import Feather, RedisLedger

        with Feather(ledger=RedisLedger("redis://localhost:6379/0")) as feather:
            thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
            thread.send("Pay 100", key="order-17")

    Args:
        url_or_client: A URL (`redis://`, `rediss://`, `unix://`), or a `redis.Redis` of your own, which is not closed.
            Your own client should have a `socket_timeout`.
        name: The prefix of all keys on the server. Workers that send the same messages use the same name.
        expires: Seconds for which an entry is kept after its last change.

    Raises:
        ConfigurationError: the package `redis` is not installed, or the URL is invalid.
        InvalidArgumentError: an argument is invalid.
    """

    def __init__(
        self, url_or_client: str | redis.Redis, *, name: str = "featherhq:ledger", expires: float = DEFAULT_EXPIRES
    ) -> None:
        given, url_or_client = (Secret(url_or_client) if isinstance(url_or_client, str) else url_or_client), ""
        self._name, self._expires = _validation.text("name", name), _validation.seconds("expires", expires)
        redis = connector("url_or_client", given)()
        self._begin, self._done, self._claimed = map(redis.register_script, (_BEGIN, _DONE, _CLAIMED))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    def begin(self, intent: Intent, attempt: str | None, after: str | None, seconds: float) -> Entry | None:
        """As `Ledger.begin`."""
        found = self._run(self._begin, intent, attempt or "", after or "", seconds)
        if found is None:
            return None
        thread_id, text_hash, last, age, lease, receipt = map(_text, found)
        return Entry(thread_id, text_hash, last, float(age), float(lease), receipt or None)

    def done(self, intent: Intent, attempt: str | None, message_id: str | None, receipt: str) -> str | None:
        """As `Ledger.done`."""
        kept = self._run(self._done, intent, attempt or "", message_id or "", receipt)
        return None if kept is None else _text(kept)

    def claimed(self, intent: Intent) -> Claims:
        """As `Ledger.claimed`."""
        found = json.loads(self._run(self._claimed, intent))
        return Claims(dict(found["ids"]), frozenset(found["open"]), max(0.0, found["busy"]))

    def _run(self, script: Any, intent: Intent, *more: object) -> Any:
        from redis.exceptions import RedisError

        thread = f"{{{self._name}}}:thread:{intent.thread_id}"
        keys = [f"{{{self._name}}}:key:{intent.key}", f"{thread}:ids", f"{thread}:open"]
        try:
            return script(keys, [intent.key, intent.thread_id, intent.text_hash, self._expires, *more])
        except (RedisError, OSError) as error:
            # The text of other errors may repeat a command, and so a password.
            told = f": {one_line(str(error))}" if isinstance(error, OSError) or _is_of_network(error) else ""
            problem = f"Redis: {type(error).__name__}{told}"
        raise LedgerError(problem, hint="Check that the Redis server runs and can be reached.")


def _is_of_network(error: Exception) -> bool:
    from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError  # noqa: A004 - its own names

    return isinstance(error, ConnectionError | TimeoutError) and not isinstance(error, AuthenticationError)


def _text(value: str | bytes) -> str:
    # A client of the caller may decode responses.
    return value if isinstance(value, str) else value.decode()
