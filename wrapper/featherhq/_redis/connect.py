"""A client of Redis, from a URL or from the caller. The package `redis` is imported here, when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from featherhq._core.secrets import Secret
from featherhq.errors import ConfigurationError, InvalidArgumentError, one_line

if TYPE_CHECKING:
    import redis

# Seconds. A Redis that hangs must not hold a call.
_TIMEOUT: Final = 2.0


def hidden(url_or_client: object) -> object:
    """The caller's argument in the form that we carry around: no local variable of ours shows a password in a URL."""
    return Secret(url_or_client) if isinstance(url_or_client, str) else url_or_client


def connect(name: str, given: object, timeout: float = _TIMEOUT) -> redis.Redis:
    """A client of Redis.

    Args:
        name: What needs it, for errors.
        given: What `hidden` returns: a URL, or a `redis.Redis`, which is used as it is.
        timeout: Seconds that a client made from a URL waits for a connection, and for an answer.

    Raises:
        ConfigurationError: the package is not installed, or the URL is invalid.
        InvalidArgumentError: it is neither a URL nor a `redis.Redis`.
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        problem = f"{name} needs the package redis"
        raise ConfigurationError(problem, hint="Install it: pip install 'featherhq[redis]'") from None
    if isinstance(given, redis.Redis | redis.RedisCluster):
        return cast("redis.Redis", given)
    if not isinstance(given, Secret):
        came = f"{type(given).__module__}.{type(given).__qualname__}"
        raise InvalidArgumentError(
            f"{name}: expected a URL such as 'redis://localhost:6379/0' or a redis.Redis, got {one_line(came)}",
            hint="A redis.asyncio client does not fit, even for an AsyncFeather: pass a redis.Redis or a URL.",
        )
    try:
        # One attempt: whoever waits for the answer has little time. A command that failed is repeated by its caller.
        return redis.Redis.from_url(
            given.reveal(), socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
    except ValueError:
        pass
    raise ConfigurationError(
        f"{name}: the URL is invalid",
        hint="Expected redis://[user:password@]host[:port][/database], rediss://… for TLS, or unix://path.",
    )
