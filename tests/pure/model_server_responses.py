"""The responses and events of the model server, in the contract's form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Final

from fake_time import EPOCH, World
from featherhq._core.responses import Response
from model_server_options import Options
from model_server_records import INBOUND, Row

AGENT_ID: Final = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"
HTML: Final = b"<html><body><h1>Something is in the way</h1></body></html>"
_ERRORS: Final = {
    400: ("BAD_REQUEST", "Bad request"),
    401: ("UNAUTHORIZED", "Unauthorized"),
    403: ("FORBIDDEN", "Forbidden"),
    404: ("NOT_FOUND", "Not found"),
    409: ("CONFLICT", "Conflict"),
    429: ("TOO_MANY_REQUESTS", "Too many requests"),
    500: ("INTERNAL_SERVER_ERROR", "Internal server error"),
    503: ("SERVICE_UNAVAILABLE", "Service unavailable"),
}


class Responses:
    """Makes the responses and events of a server, as its options say.

    Args:
        world: The world that has the server.
        options: The server's options.
    """

    def __init__(self, world: World, options: Options) -> None:
        self._world, self._options = world, options

    def json(self, data: object) -> Response:
        """A response with status 200 and a JSON body."""
        return Response(200, self.headers(), json.dumps(data).encode())

    def thread(self, thread_id: str) -> Response:
        """The response with a thread's details."""
        details = {
            "id": thread_id,
            "organizationId": AGENT_ID,
            "agentVersionId": AGENT_ID,
            "isActive": not self._options.closed,
            "createdAt": self.stamp(self._world.now, INBOUND),
            "agentId": AGENT_ID,
            "metadata": {},
            "variables": {},
        }
        return self.json({"thread": details})

    def page(self, rows: list[Row], limit: int, next_cursor: str | None) -> Response:
        """The response with a page of the list of messages."""
        # Messages do not change and are listed many times. So each keeps its own JSON.
        messages = ",".join([row.json for row in rows])
        pagination = json.dumps({"limit": limit, "nextCursor": next_cursor})
        page = f'{{"thread": {{"agentId": "{AGENT_ID}", "messages": [{messages}], "pagination": {pagination}}}}}'
        return Response(200, self.headers(), page.encode())

    def error(self, code: int, headers: Mapping[str, str] | None = None, *, html: bool = False) -> Response:
        """An error in the contract's form, or a proxy's HTML page."""
        if html:
            return Response(code, self.headers("text/html") | dict(headers or {}), HTML)
        name, message = _ERRORS.get(code, (f"ERROR_{code}", "Something went wrong"))
        body = {"status": code, "message": message, "code": name, "success": False}
        return Response(code, self.headers() | dict(headers or {}), json.dumps(body).encode())

    def headers(self, media_type: str = "application/json") -> dict[str, str]:
        """The headers of every response."""
        date = formatdate(EPOCH + self._world.now + self._options.date_skew, usegmt=True)
        return {"content-type": media_type, "date": date}

    def event(self, row: Row) -> bytes:
        """The event with which a stream brings a message."""
        envelope = self._options.envelope
        data = json.dumps(row.data() if envelope is None else {envelope: row.data()})
        fields = f"id: {row.number}\nevent: message\n" if self._options.fields else ""
        return f"{fields}data: {data}\n\n".encode()

    def stamp(self, at: float, direction: str) -> str | None:
        """The `createdAt` of a message that is created at this time of the world."""
        options = self._options
        if options.stamps == "none":
            return None
        skew = options.inbound_skew if direction == INBOUND else options.outbound_skew
        seconds = EPOCH if options.stamps == "same" else EPOCH + at + skew
        if options.stamps == "second":
            seconds = math.floor(seconds)
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
