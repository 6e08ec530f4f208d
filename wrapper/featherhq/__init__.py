"""A Python client for Feather web chat.

For example::

    from featherhq import Feather

    with Feather() as feather:  # the key comes from FEATHER_API_KEY
        thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")  # the id of your agent
        print(thread.ask("Where is my order?").text)

This client is independent. The vendor has not made it and does not endorse it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from featherhq._logging import from_environment as _log_from_environment
from featherhq._version import __version__
from featherhq.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    DeliveryUnknownError,
    FeatherError,
    InvalidArgumentError,
    LedgerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReplyTimeoutError,
    ResponseDecodeError,
    ServerError,
    UsageError,
)
from featherhq.models import Message, SentMessage, Turn

if TYPE_CHECKING:
    from featherhq._async.client import AsyncFeather
    from featherhq._async.conversation import AsyncConversation, AsyncReplies
    from featherhq._async.thread import AsyncThread
    from featherhq._async.threads import AsyncThreads
    from featherhq._limits import RateLimit, SharedRateLimit
    from featherhq._redis.ledger import RedisLedger
    from featherhq._sqlite import SQLiteLedger
    from featherhq._sync.client import Feather
    from featherhq._sync.conversation import Conversation, Replies
    from featherhq._sync.thread import Thread
    from featherhq._sync.threads import Threads
    from featherhq.ledgers import Ledger

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncConversation",
    "AsyncFeather",
    "AsyncReplies",
    "AsyncThread",
    "AsyncThreads",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "Conversation",
    "DeliveryUnknownError",
    "Feather",
    "FeatherError",
    "InvalidArgumentError",
    "Ledger",
    "LedgerError",
    "Message",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimit",
    "RateLimitError",
    "RedisLedger",
    "Replies",
    "ReplyTimeoutError",
    "ResponseDecodeError",
    "SQLiteLedger",
    "SentMessage",
    "ServerError",
    "SharedRateLimit",
    "Thread",
    "Threads",
    "Turn",
    "UsageError",
    "__version__",
]


_log_from_environment()

# Imported when they are used: most programs need only one of the two kinds.
_MODULES: Final = (
    {"RateLimit": "featherhq._limits", "SharedRateLimit": "featherhq._limits"}
    | {
        f"{prefix}{name}": f"featherhq.{folder}.{module}"
        for prefix, folder in (("", "_sync"), ("Async", "_async"))
        for name, module in (
            ("Feather", "client"),
            ("Thread", "thread"),
            ("Threads", "threads"),
            ("Conversation", "conversation"),
            ("Replies", "conversation"),
        )
    }
    | {
        "SQLiteLedger": "featherhq._sqlite",
        "RedisLedger": "featherhq._redis.ledger",
        "Ledger": "featherhq.ledgers",
    }
)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
