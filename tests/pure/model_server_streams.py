"""The event streams of the model server."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import Final, Literal

from fake_time import Exchange, World
from featherhq._core.responses import Response, TransportFailure
from model_server_lists import Messages
from model_server_options import Chance, Ending, Options
from model_server_records import Call, Row, Stream
from model_server_responses import HTML, Responses

# Seconds after which a server gives up a connection on which the client acknowledges nothing.
_UNACKNOWLEDGED: Final = 30.0


class Streams:
    """The event streams of a server.

    Args:
        world: The world that has the server.
        options: The server's options.
        chance: Its random choices.
        messages: Its messages.
        responses: Makes its responses and events.

    Attributes:
        all: All streams that were not refused.
    """

    def __init__(
        self, world: World, options: Options, chance: Chance, messages: Messages, responses: Responses
    ) -> None:
        self.all: list[Stream] = []
        self._world, self._options, self._chance = world, options, chance
        self._messages, self._responses = messages, responses
        self._open: dict[str, list[Stream]] = defaultdict(list)

    def open(self, thread_id: str | None = None) -> list[Stream]:
        """The open streams of a thread, or of all threads."""
        lists = self._open.values() if thread_id is None else [self._open[thread_id]]
        return [stream for streams in lists for stream in streams if stream.is_open]

    def refusal(self, thread_id: str) -> Response | None:
        """The response that refuses a stream of this thread, or `None` if the server accepts it."""
        options = self._options
        if options.stream_html:
            return Response(200, self._responses.headers("text/html"), HTML)
        code = options.stream_status
        if code == 200 and options.one_stream == "refuse" and self._open[thread_id]:
            code = 409
        if code == 200:
            return None
        wait = options.stream_retry_after
        return self._responses.error(code, {} if wait is None else {"retry-after": wait})

    def accept(self, exchange: Exchange, call: Call, way: float) -> None:
        """Accept a request for a stream. The head of the stream follows."""
        options, others = self._options, self._open[call.thread_id]
        if options.one_stream == "replace":
            for other in list(others):
                self.end(other, "ended")
        delay = self._chance.draw(options.stream_way)
        stream = Stream(call.thread_id, call.client, delay, self._world.now, exchange=exchange)
        others.append(stream)
        self.all.append(stream)
        call.outcome = 200
        exchange.on_close = partial(self._left, stream)
        if options.head is not None:
            self._world.after(way + self._chance.draw(options.head), partial(self._begin, exchange, stream))

    def send(self, row: Row, streamed: bool | float | None) -> None:
        """Send a new message to the open streams of its thread.

        Args:
            row: The message.
            streamed: Whether the streams bring it, or after how many seconds. `None` means as the options say.
        """
        options = self._options
        for stream in self.open(row.thread_id):
            if options.mute or streamed is False:
                continue
            delay = streamed if isinstance(streamed, float | int) and not isinstance(streamed, bool) else 0.0
            if streamed is None:
                if self._chance.happens(options.drop):
                    continue
                delay = self._chance.draw(options.held) if self._chance.happens(options.hold) else 0.0
            write = partial(self._write, stream, self._responses.event(row), row)
            for _ in range(2 if self._chance.happens(options.duplicate) else 1):
                if stream.connection is None:
                    stream.waiting.append(write)
                elif delay:
                    self._world.after(delay, write)
                else:
                    write()

    def end(self, stream: Stream, ending: Ending) -> None:
        """End a stream."""
        if not stream.is_open:
            return
        self._world.log("server", f"a stream {ending}")
        self._close(stream, ending)
        connection = stream.connection
        if connection is None:
            if ending != "died" and stream.exchange is not None:
                stream.exchange.respond(TransportFailure(True, False, "the connection was lost"))
        elif ending == "died":
            connection.die()
        elif ending == "lost":
            connection.end("the connection was lost")
        else:
            # What was written before arrives before the end.
            self._world.at(max(stream.wire_free_at, self._world.now + stream.way), connection.end)

    def _begin(self, exchange: Exchange, stream: Stream) -> None:
        """The head of the stream reaches the client."""
        options = self._options
        headers = self._responses.headers("text/event-stream")
        connection = exchange.open(Response(200, headers, is_stream=True)) if stream.is_open else None
        if connection is None:
            # If the client has left, the server knows it. If the client's machine sleeps, the server does not know it.
            return
        stream.connection, stream.opened_at = connection, self._world.now
        if options.greeting:
            self._write(stream, options.greeting)
        said = self._messages.expected(stream.thread_id, -math.inf)
        for row in said[max(0, len(said) - options.replay) :] if options.replay else ():
            self._write(stream, self._responses.event(row), row)
        waiting, stream.waiting = stream.waiting, []
        for write in waiting if options.head_keeps else ():
            write()
        if options.heartbeat is not None:
            self._world.after(options.heartbeat, partial(self._beat, stream))
        if options.life is not None:
            ending: Ending = "died" if self._chance.happens(options.silent_death) else options.ending
            self._world.after(self._chance.draw(options.life), partial(self.end, stream, ending))

    def _beat(self, stream: Stream) -> None:
        if stream.is_open:
            self._write(stream, b": heartbeat\n\n")
            if self._options.heartbeat is not None:
                self._world.after(self._options.heartbeat, partial(self._beat, stream))

    def _write(self, stream: Stream, data: bytes, row: Row | None = None) -> None:
        """Write data to a stream. It arrives after all data that was written before."""
        if not stream.is_open:
            return
        pieces = [data]
        if row is not None and self._chance.happens(self._options.split):
            place = self._chance.random.randrange(1, len(data))
            pieces = [data[:place], data[place:]]
        for number, piece in enumerate(pieces):
            arrives = max(stream.wire_free_at, self._world.now + stream.way) + (0.01 if number else 0.0)
            stream.wire_free_at = arrives
            completed = row if number == len(pieces) - 1 else None
            self._world.at(arrives, partial(self._arrive, stream, piece, completed))

    def _arrive(self, stream: Stream, data: bytes, row: Row | None) -> None:
        assert stream.connection is not None
        if not stream.connection.write(data):
            # The client does not acknowledge the data. After some time the server treats the connection as lost.
            self._world.after(_UNACKNOWLEDGED, partial(self.end, stream, "died"))
        elif row is not None:
            row.pushed.setdefault(stream.client, self._world.now)
            stream.brought.append(row.number)

    def _left(self, stream: Stream) -> None:
        if stream.is_open:
            self._close(stream, "left")

    def _close(self, stream: Stream, ending: Ending | Literal["left"]) -> None:
        stream.ended_at, stream.ending = self._world.now, ending
        self._open[stream.thread_id].remove(stream)
