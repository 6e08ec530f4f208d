"""The client of the package redis: made from a URL, or handed in by the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from featherhq._core.secrets import Secret
from featherhq.errors import ConfigurationError, InvalidArgumentError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds for a connection, and for an answer. The URL may say otherwise (`?socket_timeout=5`).
_TIMEOUT: Final = 1.0


def connector(argument: str, given: object) -> Callable[[], Any]:
    """What gives the client: a new one for a URL, or the caller's own.

    Args:
        argument: The name of the caller's argument, for errors.
        given: A URL in a `Secret`, or a client.

    Raises:
        ConfigurationError: the package redis is not installed, or the URL is invalid.
        InvalidArgumentError: it is neither a URL nor a synchronous client.
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise ConfigurationError(
            f"{argument}: Redis needs the package redis, which is not installed",
            hint="pip install 'featherhq[redis]'",
        ) from None
    if isinstance(given, redis.Redis):
        return lambda: given
    if not isinstance(given, Secret):
        expected = "a redis:// URL or a redis.Redis"
        is_async = type(given).__module__.startswith("redis.asyncio")
        raise InvalidArgumentError(
            f"{argument}: expected {expected}, got {one_line(f'a {type(given).__module__}.{type(given).__name__}')}",
            hint="Pass the URL, or a redis.Redis. Both work for AsyncFeather too." if is_async else "Nothing was sent.",
        )

    def connect() -> Any:
        # One repetition, for a connection that Redis has closed meanwhile.
        options = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT, "retry": Retry(NoBackoff(), 1)}
        return redis.Redis.from_url(given.reveal(), **options)

    if not _is_valid(connect):
        raise ConfigurationError(
            f"{argument}: expected a URL such as 'redis://localhost:6379/0', but this one is invalid",
            hint="It is not shown, because it may hold a password. It begins with redis://, rediss:// or unix://.",
        )
    return connect


def _is_valid(connect: Callable[[], Any]) -> bool:
    """Whether a client can be made. Its error is dropped here, because its frames hold the URL."""
    try:
        connect()
    except Exception:  # noqa: BLE001 - the package raises errors of many kinds
        return False
    return True


def problem(error: Exception) -> str:
    """What a client of the package redis has raised, in one line."""
    import redis

    text = f": {one_line(str(error))}" if isinstance(error, redis.RedisError) and str(error) else ""
    return f"Redis could not be asked ({type(error).__name__}{text})"
