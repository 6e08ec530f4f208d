"""The rate limits that a client takes: a number, a `RateLimit`, or a `SharedRateLimit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from attrs import field, frozen

from featherhq import _validation
from featherhq._core import rate_limit
from featherhq._lazy import Lazy
from featherhq.errors import UncopiableError

if TYPE_CHECKING:
    import redis

    from featherhq._core import reservations
else:
    # For whoever asks what the annotations mean.
    redis, reservations = Lazy("redis"), Lazy("featherhq._core.reservations")

DEFAULT_RATE: Final = 10.0
"""Requests per second: the limit of the vendor's standard plan."""


@frozen
class RateLimit:
    """A rate limit of one client, with a burst of your choice.

    A plain number, as in `Feather(rate_limit=10)`, is a sliding window: in any second, at most ten requests. This is
    safe for each way in which a server may count. With a `burst`, that many requests may be sent at once, and then
    `rate` per second, evenly spaced (a token bucket of that size). Use it if you know how the server counts. A burst
    below the server's own leaves room for requests that arrive late.

    For example::

        from featherhq import Feather, RateLimit

        feather = Feather(rate_limit=RateLimit(10, burst=5))

    Attributes:
        rate: Requests per second, above 0.
        burst: How many may be sent at once. Default: as for a plain number.

    Raises:
        InvalidArgumentError: a value is invalid.
    """

    rate: float = field(validator=lambda _, __, value: _validation.rate(value))
    burst: int | None = field(default=None, kw_only=True, validator=lambda _, __, value: _validation.burst(value))


@frozen(eq=False, init=False, repr=False)
class SharedRateLimit:
    """A rate limit that many clients and processes share, through Redis.

    All processes that give the same Redis and the same `name` together send at most `rate` requests per second. They
    take turns. Give all of them the same `rate` and `burst`. If Redis does not answer, each process goes on with an
    equal share of the rate. No call fails or hangs because of that. One object may be given to many clients of both
    kinds, and may be used in forked children.

    For example, the same in each process::

        from featherhq import Feather, SharedRateLimit

        limit = SharedRateLimit("redis://localhost:6379/0", rate=10, name="acme")
        feather = Feather(rate_limit=limit)

    Args:
        url_or_client: A URL (`redis://`, `rediss://` or `unix://`), or a `redis.Redis` of yours, which is not closed.
        rate: Requests per second, above 0.
        name: The name of the limit, for example of the API key's owner. Do not pass the key itself.
        burst: How many requests may be sent at once. Default: as many as half a second allows, at least 1. A burst
            below the server's own leaves room for requests that arrive late.

    Attributes:
        rate: See above.
        name: See above.
        burst: See above.

    Raises:
        ConfigurationError: the package redis is not installed, or the URL is invalid.
        InvalidArgumentError: another argument is invalid.
    """

    rate: float
    name: str
    burst: int
    _reservations: reservations.Reservations

    def __init__(
        self, url_or_client: str | redis.Redis, rate: float = DEFAULT_RATE, *, name: str, burst: int | None = None
    ) -> None:
        # Imported here, because most programs need none of it.
        from featherhq._core.reservations import Reservations, Terms
        from featherhq._core.secrets import Secret
        from featherhq._logging import log
        from featherhq._redis.asker import Asker
        from featherhq._redis.clients import connector

        given, url_or_client = (Secret(url_or_client) if isinstance(url_or_client, str) else url_or_client), ""
        connect = connector("url_or_client", given)
        checked = _validation.rate(rate)
        size = _validation.burst(burst) or max(1, int(checked / 2))
        terms = Terms(_validation.limit_name(name), checked, size)
        self.__attrs_init__(checked, terms.name, size, Reservations(terms, Asker(connect, terms).ask, log))

    def __repr__(self) -> str:
        # A traceback with local variables may show an object whose `__init__` has failed.
        if not hasattr(self, "name"):
            return "<SharedRateLimit>"
        return f"SharedRateLimit(rate={self.rate:g}, name={self.name!r}, burst={self.burst})"

    def __reduce__(self) -> NoReturn:
        raise UncopiableError(
            "a SharedRateLimit cannot be copied or pickled",
            hint="Make one in each process, with the same Redis and the same name.",
        )


def queue(given: object) -> rate_limit.RateLimit | None:
    """The queue for what a client was given as its rate limit, or `None` for no limit.

    Raises:
        InvalidArgumentError: it is no rate limit.
    """
    if isinstance(given, SharedRateLimit):
        from featherhq._core.shared_limit import SharedLimit

        return SharedLimit(given._reservations)
    if isinstance(given, RateLimit) and given.burst is not None:
        from featherhq._core.burst_limit import BurstLimit

        return BurstLimit(given.rate, given.burst)
    if given is None:
        return None
    return rate_limit.RateLimit(given.rate if isinstance(given, RateLimit) else _validation.rate_limit(given))
