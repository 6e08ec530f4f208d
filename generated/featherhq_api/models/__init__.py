"""Contains all the data models used in inputs/outputs"""

from .agent_details import AgentDetails
from .agent_version_details import AgentVersionDetails
from .close_thread_body import CloseThreadBody
from .create_thread_body import CreateThreadBody
from .list_messages_direction import ListMessagesDirection
from .list_messages_response import ListMessagesResponse
from .list_messages_status import ListMessagesStatus
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

__all__ = (
    "AgentDetails",
    "AgentVersionDetails",
    "CloseThreadBody",
    "CreateThreadBody",
    "ListMessagesDirection",
    "ListMessagesResponse",
    "ListMessagesStatus",
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
