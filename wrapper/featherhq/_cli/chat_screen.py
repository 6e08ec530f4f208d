"""A chat on a terminal: the line that is typed stays at the bottom, and messages appear above it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from itertools import cycle
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style
from rich.console import Console
from rich.table import Table
from rich.text import Text

from featherhq._cli.exits import Exit, exit_of, may_pass
from featherhq._cli.failures import lines_of
from featherhq._cli.output import shown
from featherhq._cli.records import who
from featherhq.errors import BadRequestError, FeatherError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from featherhq import AsyncConversation, Message

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "|/-\\"
# Seconds for which a picture of the spinner stays.
_FRAME: Final = 0.1
_PROMPT: Final = "you:   "
_STYLE: Final = {"waiting": "italic", "prompt": "bold"}
_COLORS: Final = {"agent": "bold cyan", "you": "bold"}


class Screen:
    """Talks with somebody at a terminal.

    Args:
        chat: The open conversation.
        thread_id: Its thread.
    """

    def __init__(self, chat: AsyncConversation, thread_id: str) -> None:
        self._chat = chat
        self._thread_id = thread_id
        # The terminal itself: what others print there meanwhile goes above the line by `patch_stdout`.
        self._console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
        # What waits until there is a line, above which it is printed.
        self._to_print: deque[RenderableType] = deque()
        self._news = asyncio.Event()
        # Texts that are sent one after the other, while the user types on.
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._sending = ""
        # Since when a reply is owed, on the monotonic clock.
        self._owed_since: float | None = None
        # A text that was not sent and goes back into the line.
        self._unsent = ""
        self._failure: FeatherError | None = None
        self._status = Exit.DONE
        frames = _FRAMES if "utf" in (sys.stdout.encoding or "").lower() else _PLAIN_FRAMES
        self._frames = cycle(frames)
        self._session: PromptSession[str] = PromptSession(
            self._prompt,
            style=Style.from_dict(_STYLE),
            reserve_space_for_menu=0,
            prompt_continuation=" " * len(_PROMPT),
        )

    async def run(self, earlier: Sequence[Message]) -> int:
        """Talk until the user leaves. Returns the exit status.

        Args:
            earlier: What was said before, to be shown first.

        Raises:
            FeatherError: no messages can be sent or received any more.
        """
        self._say(f"Thread {self._thread_id}. Ctrl-d leaves.", "dim")
        for message in earlier:
            self._show(message)
        self._print_waiting()
        with patch_stdout(raw=True):
            jobs = (self._receive, self._work_above, self._animate, self._send)
            background = [asyncio.create_task(job()) for job in jobs]
            try:
                return await self._talk()
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
                self._tell_unsent()
                self._print_waiting()

    async def _talk(self) -> int:
        while True:
            try:
                text = await self._session.prompt_async(pre_run=self._begin_line, set_exception_handler=False)
            except EOFError:
                break
            except KeyboardInterrupt:
                return Exit.INTERRUPTED
            self._status = Exit.DONE
            if text.strip():
                self._outgoing.put_nowait(text)
        # What was typed before ctrl-d is sent.
        if self._sending or not self._outgoing.empty():
            self._say("Sending what waits. Ctrl-c leaves at once.", "dim")
            self._print_waiting()
        await self._outgoing.join()
        if self._failure is not None:
            raise self._failure
        return self._status

    def _begin_line(self) -> None:
        """A new line can be typed."""
        self._news.set()

    @property
    def _has_line(self) -> bool:
        """Whether there is a line that the user types."""
        return self._session.app.is_running and not self._session.app.is_done

    async def _send(self) -> None:
        """Send one text after the other. After a failure, those that wait are not sent: they may depend on it."""
        while True:
            self._sending = await self._outgoing.get()
            self._owed_since = time.monotonic()
            try:
                await self._chat.send(self._sending)
            except FeatherError as error:
                self._owed_since = None
                self._report(self._sending, error)
            self._sending = ""
            self._outgoing.task_done()
            self._session.app.invalidate()

    def _report(self, text: str, error: FeatherError) -> None:
        """Say that a text was not sent, and keep it. Leave if no other could be sent either."""
        self._status = exit_of(error)
        what, hint = lines_of(error)
        what = what.removeprefix(f"{error.method} {error.url}: ")
        self._say(f"Not sent: {what}" if error.delivered is False else what, "red")
        self._say(hint, "dim")
        if error.delivered is False:
            self._unsent = text
        else:
            self._say("Press the up key to get the text back.", "dim")
        while not self._outgoing.empty():
            self._say(f"Not sent either: {one_line(self._outgoing.get_nowait())}", "red")
            self._outgoing.task_done()
        if not (may_pass(error) or isinstance(error, BadRequestError)):
            self._failure = error
        self._news.set()

    def _tell_unsent(self) -> None:
        """Print the texts that are not sent, so that they are not lost when the user leaves."""
        if self._sending:
            self._say(f"It is unknown whether this was delivered: {one_line(self._sending)}", "red")
        waiting = [self._outgoing.get_nowait() for _ in range(self._outgoing.qsize())]
        for text in filter(None, (self._unsent, *waiting)):
            self._say(f"Not sent: {one_line(text)}", "red")

    def _take_back(self) -> None:
        """Put a text that was not sent into the line again, unless the user has typed something else meanwhile."""
        text, self._unsent = self._unsent, ""
        if not text:
            return
        buffer = self._session.default_buffer
        if buffer.text:
            self._say(f"Press the up key to get it back: {one_line(text)}", "dim")
        else:
            buffer.insert_text(text)

    async def _receive(self) -> None:
        try:
            async for message in self._chat:  # pragma: no branch - only an error ends it
                self._owed_since = None
                self._show(message)
        except FeatherError as error:
            self._failure = error
            self._news.set()

    async def _animate(self) -> None:
        """Draw the spinner again while a reply is owed."""
        while True:
            await asyncio.sleep(_FRAME)
            if self._owed_since is not None:
                self._session.app.invalidate()

    def _prompt(self) -> FormattedText:
        """The prompt, with the spinner above it while a reply is owed. The spinner does not stay on the screen."""
        prompt = FormattedText([("class:prompt", _PROMPT)])
        if self._owed_since is None or self._session.app.is_done:
            return prompt
        seconds = int(time.monotonic() - self._owed_since)
        what = "sending" if self._sending else "waiting for a reply"
        since = f" ({seconds} s)" if seconds else ""
        return FormattedText([("class:waiting", f"{next(self._frames)} {what}{since}\n"), *prompt])

    def _show(self, message: Message) -> None:
        name = who(message)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, width=len(_PROMPT) - 1)
        grid.add_column(overflow="fold")
        grid.add_row(Text(f"{name}:", style=_COLORS.get(name, "")), Text(shown(message.text)))
        self._add(grid)

    def _say(self, text: str, style: str) -> None:
        self._add(Text(text, style=style))

    def _add(self, what: RenderableType) -> None:
        self._to_print.append(what)
        self._news.set()

    async def _work_above(self) -> None:
        """Print above the line what is to be printed. Between two lines it waits: the screen is being drawn then.

        prompt_toolkit's `in_terminal` would let the terminal handle keys meanwhile, and ctrl-d would be lost.
        """
        app = self._session.app
        while True:
            await self._news.wait()
            self._news.clear()
            await app.renderer.wait_for_cpr_responses()
            if self._has_line:
                self._take_back()
                app.renderer.erase()
                self._print_waiting()
                app.renderer.reset()
                app.renderer.request_absolute_cursor_position()
                app.invalidate()
                if self._failure is not None:
                    app.exit(exception=self._failure)

    def _print_waiting(self) -> None:
        while self._to_print:
            self._console.print(self._to_print.popleft(), width=self._session.output.get_size().columns)
