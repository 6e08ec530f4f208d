"""`featherhq chat`: talk to an agent, on a terminal or through pipes."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import click

from featherhq._cli.output import is_terminal, output
from featherhq._cli.settings import agent_option, connection, connects, needed_agent
from featherhq._core.secrets import Secret
from featherhq._settings import DEFAULT_QUIET
from featherhq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq import AsyncThread, Message
    from featherhq._cli.output import Output

# The sandbox takes any agent.
_SANDBOX_AGENT: Final = str(UUID(int=1))
# Seconds that the sandbox's agent needs on a terminal, so that one sees it wait.
_THINKING: Final = 0.7
# Messages that a resumed chat shows of what was said before.
_SHOWN_BEFORE: Final = 10


@click.command
@click.argument("thread_id", metavar="[THREAD]", required=False)
@agent_option
@click.option("--sandbox", is_flag=True, help="Talk to a sandbox on this machine. It needs no key and no network.")
@click.option(
    "--quiet",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_QUIET,
    show_default=True,
    metavar="SECONDS",
    help="In a pipe: the next line is sent when the agent has been quiet for this time.",
)
@connects
@click.pass_context
def chat(context: click.Context, thread_id: str | None, agent: str | None, sandbox: bool, quiet: float) -> None:  # noqa: FBT001
    """Talk to an agent: go on with a THREAD, or begin a new one.

    On a terminal, the agent's messages appear as they come, also while you type. Ctrl-d or ctrl-c leaves, and tells how
    to go on later. In a pipe, each line of standard input is a message. The agent's messages go to standard output, and
    all else to standard error.
    """
    out = output(context)
    on_screen = is_terminal(sys.stdin) and is_terminal(sys.stdout) and not out.as_json
    with _options(context, sandbox=sandbox, on_screen=on_screen) as options:
        if sandbox and thread_id is not None:
            raise UsageError("--sandbox begins with no threads", hint="Leave out the id of the thread, or --sandbox.")
        if thread_id is None:
            agent = _SANDBOX_AGENT if sandbox else needed_agent(agent)
        talk = _Talk(options, out, thread_id, agent, quiet if not on_screen else None)
        with _resumable(out, context, talk, sandbox=sandbox):
            context.exit(asyncio.run(talk.run()))


class _Talk:
    """One chat.

    Args:
        options: The keyword arguments of `AsyncFeather`.
        out: Where it prints.
        thread_id: The thread to go on with, or `None`.
        agent: The agent of a new thread.
        quiet: In a pipe: the seconds of `--quiet`. `None` on a terminal.

    Attributes:
        thread: The thread, once it is there.
    """

    def __init__(
        self, options: dict[str, Any], out: Output, thread_id: str | None, agent: str | None, quiet: float | None
    ) -> None:
        self.thread: AsyncThread | None = None
        self._options = options
        self._out = out
        self._thread_id = thread_id
        self._agent = agent
        self._quiet = quiet

    async def run(self) -> int:
        """Talk until the user leaves. Returns the exit status."""
        from featherhq import AsyncFeather

        async with AsyncFeather(**self._options) as feather:
            if self._thread_id is None:
                self.thread = thread = await feather.threads.create(str(self._agent))
            else:
                thread = feather.thread(self._thread_id)
            earlier = await self._earlier(thread)
            async with thread.conversation(after=earlier[-1] if earlier else None) as chat:
                self.thread = thread
                if self._quiet is None:
                    from featherhq._cli.chat_screen import Screen

                    return await Screen(chat, thread.id).run(earlier)
                from featherhq._cli.chat_lines import Lines

                timeout = self._options["timeout"]
                return await Lines(chat, thread.id, self._out, timeout=timeout, quiet=self._quiet).run()

    async def _earlier(self, thread: AsyncThread) -> list[Message]:
        """The last messages of a thread that was made before, oldest first."""
        found: list[Message] = []
        if self._thread_id is not None:
            async for message in thread.messages(newest_first=True, page_size=_SHOWN_BEFORE):
                found.append(message)
                if len(found) == _SHOWN_BEFORE:
                    break
        return found[::-1]


@contextmanager
def _options(context: click.Context, *, sandbox: bool, on_screen: bool) -> Iterator[dict[str, Any]]:
    """The keyword arguments of the client: from the options, or for a sandbox that runs as long as the block."""
    given = connection(context)
    if sandbox:
        from featherhq.sandbox import Sandbox, default_agent

        def thinking(text: str, history: list[Message]) -> str | list[str]:
            time.sleep(_THINKING)
            return default_agent(text, history)

        with Sandbox(thinking if on_screen else default_agent) as running:
            yield {**given.options(), "api_key": Secret(running.api_key), "base_url": running.url}
    else:
        yield {"api_key": given.api_key(), **given.options()}


@contextmanager
def _resumable(out: Output, context: click.Context, talk: _Talk, *, sandbox: bool) -> Iterator[None]:
    """Tell at the end of the block, however it ends, how to go on with the chat."""
    try:
        yield
    finally:
        _tell_how_to_resume(out, context, talk.thread, sandbox=sandbox)


def _tell_how_to_resume(out: Output, context: click.Context, thread: AsyncThread | None, *, sandbox: bool) -> None:
    if thread is None:
        return
    data: dict[str, object] = {"thread_id": thread.id}
    if sandbox:
        out.note("The sandbox has ended.", data)
        return
    base_url = connection(context).base_url
    option = "" if base_url is None else f" --base-url {base_url}"
    out.note(f"To go on: featherhq chat {thread.id}{option}", data)
