"""The network of the fake world: requests and event streams, as a server sees them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from featherhq._core.effects import Chunk, Ended, SendRequest
from featherhq._core.responses import Response, TransportFailure
from featherhq._core.secrets import Secret

if TYPE_CHECKING:
    from fake_time import World
    from fake_time_mailbox import ThreadMailbox

Outcome = Response | TransportFailure


class Exchange:
    """A request, as a server sees it.

    Attributes:
        world: The world.
        effect: The effect of the flow that sent the request.
        method: The method, in capitals.
        url: The absolute URL, without the query.
        params: The query.
        headers: The headers. Their names are in lower case.
        json: The body.
        streaming: Whether the response may be an event stream.
        left_at: When the request left the client, in the world's time.
        on_close: A server sets this to a function. It is called when the client stops waiting or closes the stream.
    """

    def __init__(
        self, world: World, effect: SendRequest, on_outcome: Callable[[Outcome, Connection | None], None]
    ) -> None:
        self.world, self.effect = world, effect
        request = effect.request
        self.method = str(request["method"]).upper()
        self.url = str(request["url"])
        self.params: Mapping[str, str] = request.get("params") or {}
        self.headers = {
            name.lower(): value.reveal() if isinstance(value, Secret) else value
            for name, value in (request.get("headers") or {}).items()
        }
        self.json: Any = request.get("json")
        self.streaming = effect.streaming
        self.left_at = world.now
        self.on_close: Callable[[], object] | None = None
        self._on_outcome: Callable[[Outcome, Connection | None], None] | None = on_outcome
        self._connection: Connection | None = None
        self._dead = False
        self._timer = world.machine_timer(effect.seconds, self._time_out)

    @property
    def is_waited_for(self) -> bool:
        """Whether the client would get a response now."""
        return self._on_outcome is not None and not self._dead

    def respond(self, outcome: Outcome) -> bool:
        """Give the client a response, or a failure of the network. Returns whether the client gets it."""
        if not self.is_waited_for:
            return False
        self._finish(outcome, None)
        return True

    def open(self, response: Response) -> Connection | None:
        """Give the client the head of an event stream. Returns the stream, or `None` if the client does not get it."""
        assert self.streaming, "the request does not ask for a stream"
        assert response.is_stream
        if not self.is_waited_for:
            return None
        connection = self._connection = Connection(self)
        self._finish(response, connection)
        return connection

    def abandon(self) -> None:
        """The client stops waiting for the response."""
        if self._on_outcome is not None:
            self._on_outcome = None
            self._timer.cancel()
            self.over(server_notices=not self._dead)

    def die(self) -> None:
        """The connection of this request dies. Neither side notices it."""
        self._dead = True
        if self._connection is not None:
            self._connection.die()

    def reset(self) -> None:
        """The client's machine reports that the connection is dead, if the client still waits for the response."""
        if self._on_outcome is not None:
            self._finish(TransportFailure(True, False, "the connection was reset"), None)

    def over(self, *, server_notices: bool) -> None:
        """The client has left. The server notices that, except on a dead connection."""
        self.world.forget(self)
        if server_notices and self.on_close is not None:
            self.on_close()

    def _finish(self, outcome: Outcome, connection: Connection | None) -> None:
        on_outcome, self._on_outcome = self._on_outcome, None
        assert on_outcome is not None
        self._timer.cancel()
        if connection is None:
            self.world.forget(self)
        on_outcome(outcome, connection)

    def _time_out(self) -> None:
        on_outcome = self._on_outcome
        if on_outcome is not None:
            self.abandon()
            on_outcome(TransportFailure(True, True, "no response in time"), None)


class Connection:
    """An open event stream, as a server writes it.

    Attributes:
        died_at: When the connection died unnoticed, in the world's time.
        closed_at: When the client closed it, or got its end.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.died_at: float | None = None
        self.closed_at: float | None = None
        self._exchange = exchange
        self._world = exchange.world
        # The data that has arrived and is not read yet. A `str` is the end of the stream: it says the reason.
        self._arrived: deque[bytes | str] = deque()
        self._mailbox: ThreadMailbox | None = None
        self._job = ""

    @property
    def is_open(self) -> bool:
        """Whether the client gets what the server writes."""
        return self.died_at is None and self.closed_at is None

    def write(self, data: bytes) -> bool:
        """Data arrives at the client. Returns whether the client gets it."""
        if self.is_open:
            self._arrived.append(data)
            self.post_arrived()
            return True
        return False

    def end(self, reason: str = "it ended") -> bool:
        """The stream ends, and the client notices it. Returns `False` if the stream was not open any more."""
        if not self.is_open:
            return False
        self.closed_at = self._world.now
        self._world.forget(self._exchange)
        self._arrived.append(reason)
        self.post_arrived()
        return True

    def die(self) -> None:
        """The connection dies. Neither side notices it."""
        if self.is_open:
            self.died_at = self._world.now

    def close(self) -> None:
        """The client closes the stream."""
        self._arrived.clear()
        self._mailbox = None
        if self.closed_at is None:
            self.closed_at = self._world.now
            self._exchange.over(server_notices=self.died_at is None)

    # Mailboxes call these methods.

    def read_by(self, mailbox: ThreadMailbox, job: str) -> None:
        """Post what arrives to this mailbox from now on."""
        self._mailbox, self._job = mailbox, job
        self.post_arrived()

    def post_arrived(self) -> None:
        """Post what has arrived, while the mailbox has room for it."""
        if self._mailbox is None:
            return
        while self._arrived and self._mailbox.has_room(self._job):
            piece = self._arrived.popleft()
            if isinstance(piece, str):
                self._mailbox.post(Ended(self._job, piece, self._world.clock()))
            else:
                self._mailbox.post(Chunk(self._job, piece, self._world.clock()))
