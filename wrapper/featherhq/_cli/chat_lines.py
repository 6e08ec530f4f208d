"""A chat through pipes: each line of standard input is a message, each message of the agent goes to standard output."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Final

from featherhq._cli.exits import Exit
from featherhq._cli.output import shown
from featherhq._cli.records import message_data
from featherhq.errors import FeatherError, InvalidArgumentError, one_line

if TYPE_CHECKING:
    from featherhq import AsyncConversation
    from featherhq._cli.output import Output

_PIECE: Final = 64 * 1024


class Lines:
    """Sends lines one after the other: the next one when the agent has replied to the last one and is quiet.

    Args:
        chat: The open conversation.
        thread_id: Its thread.
        out: Where the agent's messages go.
        timeout: Seconds to wait for a reply.
        quiet: Seconds without a message after which the agent is quiet.
    """

    def __init__(self, chat: AsyncConversation, thread_id: str, out: Output, *, timeout: float, quiet: float) -> None:
        self._chat = chat
        self._thread_id = thread_id
        self._out = out
        self._timeout = timeout
        self._quiet = quiet
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._heard = asyncio.Event()
        self._status = Exit.DONE

    async def run(self) -> int:
        """Talk until the end of standard input, and until the last reply has come. Returns the exit status.

        Raises:
            FeatherError: a message could not be sent, or no messages can be received.
        """
        self._out.note(f"Thread {self._thread_id}", {"thread_id": self._thread_id})
        self._read_in_background()
        talking, printing = asyncio.create_task(self._talk()), asyncio.create_task(self._print())
        try:
            await asyncio.wait({talking, printing}, return_when=asyncio.FIRST_COMPLETED)
            # The messages end before the lines only with an error.
            await (printing if printing.done() else talking)
        finally:
            for task in (talking, printing):
                task.cancel()
            await asyncio.gather(talking, printing, return_exceptions=True)
        return self._status

    async def _talk(self) -> None:
        while (line := await self._lines.get()) is not None:
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                raise InvalidArgumentError("a line of standard input is not text in UTF-8") from None
            if text.strip():
                await self._send(text)

    async def _send(self, text: str) -> None:
        self._heard.clear()
        try:
            await self._chat.send(text, timeout=self._timeout)
        except FeatherError:
            self._out.note(f"The message was: {one_line(text)}", {"unsent": text})
            raise
        if not await self._hears(self._timeout):
            self._status = Exit.NO_REPLY
            problem = f"no reply came within {self._timeout:g} s to: {one_line(text)}"
            self._out.note(f"featherhq chat: {problem}", {"error": "ReplyTimeoutError", "message": problem})
        speaks = True
        while speaks:
            speaks = await self._hears(self._quiet)

    async def _hears(self, seconds: float) -> bool:
        """Wait for the next message of the agent. Returns whether one came."""
        waiting = asyncio.create_task(self._heard.wait())
        await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()
        heard = self._heard.is_set()
        self._heard.clear()
        return heard

    async def _print(self) -> None:
        async for message in self._chat:
            self._out.result(shown(message.text), message_data(message, self._thread_id))
            self._heard.set()

    def _read_in_background(self) -> None:
        """Read lines in a thread. It may still wait for one when the program ends."""
        loop = asyncio.get_running_loop()

        def put(line: bytes | None) -> None:
            with suppress(RuntimeError):  # the program ends
                loop.call_soon_threadsafe(self._lines.put_nowait, line)

        def read() -> None:
            rest = b""
            # Not through `sys.stdin`: its lock would be held while Python ends.
            with suppress(OSError, ValueError, AttributeError):
                number = sys.stdin.fileno()
                while piece := os.read(number, _PIECE):
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        put(line.removesuffix(b"\r"))
            if rest:
                put(rest)
            put(None)

        Thread(target=read, name="featherhq-stdin", daemon=True).start()
