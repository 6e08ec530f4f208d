"""Contains all the data models used in inputs/outputs, each imported when it is first asked for"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent_details import AgentDetails
    from .agent_version_details import AgentVersionDetails
    from .close_thread_body import CloseThreadBody
    from .create_thread_body import CreateThreadBody
    from .list_messages_direction import ListMessagesDirection
    from .list_messages_response import ListMessagesResponse
    from .list_messages_status import ListMessagesStatus
    from .list_threads_response import ListThreadsResponse
    from .message import Message
    from .metadata import Metadata
    from .pagination import Pagination
    from .send_message_body import SendMessageBody
    from .send_message_response import SendMessageResponse
    from .thread import Thread
    from .thread_messages import ThreadMessages
    from .thread_metadata import ThreadMetadata
    from .thread_response import ThreadResponse
    from .thread_variables import ThreadVariables
    from .update_thread_body import UpdateThreadBody
    from .variables import Variables

_HOMES = {
    "AgentDetails": ".agent_details",
    "AgentVersionDetails": ".agent_version_details",
    "CloseThreadBody": ".close_thread_body",
    "CreateThreadBody": ".create_thread_body",
    "ListMessagesDirection": ".list_messages_direction",
    "ListMessagesResponse": ".list_messages_response",
    "ListMessagesStatus": ".list_messages_status",
    "ListThreadsResponse": ".list_threads_response",
    "Message": ".message",
    "Metadata": ".metadata",
    "Pagination": ".pagination",
    "SendMessageBody": ".send_message_body",
    "SendMessageResponse": ".send_message_response",
    "Thread": ".thread",
    "ThreadMessages": ".thread_messages",
    "ThreadMetadata": ".thread_metadata",
    "ThreadResponse": ".thread_response",
    "ThreadVariables": ".thread_variables",
    "UpdateThreadBody": ".update_thread_body",
    "Variables": ".variables",
}

__all__ = (
    "AgentDetails",
    "AgentVersionDetails",
    "CloseThreadBody",
    "CreateThreadBody",
    "ListMessagesDirection",
    "ListMessagesResponse",
    "ListMessagesStatus",
    "ListThreadsResponse",
    "Message",
    "Metadata",
    "Pagination",
    "SendMessageBody",
    "SendMessageResponse",
    "Thread",
    "ThreadMessages",
    "ThreadMetadata",
    "ThreadResponse",
    "ThreadVariables",
    "UpdateThreadBody",
    "Variables",
)

# Type checkers read the imports above. With this function they would take each name for one that exists.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name], __name__), name)
