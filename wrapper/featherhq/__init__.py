"""A Python client for Feather web chat.

    from featherhq import Feather

    with Feather() as feather:                       # FEATHER_API_KEY
        thread = feather.threads.create(agent_id)
        print(thread.ask("Where is my order?").text)

This client is independent. The vendor has not made it and does not endorse it.
"""

from featherhq._async.client import AsyncFeather
from featherhq._async.conversation import AsyncConversation
from featherhq._async.threads import AsyncThread, AsyncThreads
from featherhq._logging import from_environment as _log_from_environment
from featherhq._sync.client import Feather
from featherhq._sync.conversation import Conversation
from featherhq._sync.threads import Thread, Threads
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
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReplyTimeoutError,
    ResponseDecodeError,
    ServerError,
    UsageError,
)
from featherhq.models import Message, SentMessage

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncConversation",
    "AsyncFeather",
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
    "Message",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ReplyTimeoutError",
    "ResponseDecodeError",
    "SentMessage",
    "ServerError",
    "Thread",
    "Threads",
    "UsageError",
    "__version__",
]


_log_from_environment()
