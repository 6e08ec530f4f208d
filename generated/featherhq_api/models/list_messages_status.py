from enum import StrEnum


class ListMessagesStatus(StrEnum):
    DELIVERED = "DELIVERED"
    DISCARDED = "DISCARDED"
    FAILED = "FAILED"
    QUEUED = "QUEUED"
    READ = "READ"
    RECEIVED = "RECEIVED"
    SENDING = "SENDING"
    SENT = "SENT"
    UNDELIVERED = "UNDELIVERED"

    def __str__(self) -> str:
        return str(self.value)
