"""`featherhq ask`, `send`, `messages` and `tail`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from featherhq import _validation
from featherhq._cli.output import output, shown
from featherhq._cli.records import message_data, news_line, print_messages, sent_data
from featherhq._cli.settings import agent_option, connection, connects, needed_agent
from featherhq.errors import InvalidArgumentError, UsageError
from featherhq.models import INBOUND, OUTBOUND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq import Feather, Message, Thread


def _sends(function: Any) -> Any:
    """Add the arguments of a command that sends one message."""
    for add in (
        connects,
        click.option("--ledger", metavar="FILE", help="A SQLite file that remembers what was sent with a --key."),
        click.option(
            "--key", metavar="NAME", help="Send the message once, even if the command runs again. See --ledger."
        ),
        agent_option,
        click.option("--thread", metavar="ID", help="The thread. Without it, a new thread is made."),
        click.argument("text", required=False),
    ):
        function = add(function)
    return function


@click.command
@_sends
@click.pass_context
def ask(context: click.Context, /, **given: Any) -> None:
    """Send a message, and print the agent's reply.

    TEXT is the message. If it is "-" or is left out, it is read from standard input. An agent may reply in several
    messages: `chat` and `tail` show all of them.
    """
    text, out = _text(given["text"]), output(context)
    with _thread(context, given) as thread:
        with out.waiting("Waiting for a reply"):
            reply = thread.ask(text, key=given["key"])
        out.result(shown(reply.text), message_data(reply, thread.id))


@click.command
@_sends
@click.pass_context
def send(context: click.Context, /, **given: Any) -> None:
    """Send a message, and print its id. It does not wait for a reply.

    TEXT is the message. If it is "-" or is left out, it is read from standard input.
    """
    text, out = _text(given["text"]), output(context)
    with _thread(context, given) as thread:
        sent = thread.send(text, key=given["key"])
        out.result(sent.message_id, sent_data(sent))


@click.command
@click.argument("thread_id", metavar="THREAD")
@click.option("--newest", is_flag=True, help="Begin with the newest message.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Print no more messages than this.")
@click.option(
    "--direction",
    type=click.Choice([INBOUND, OUTBOUND], case_sensitive=False),
    help="Only your messages (INBOUND), or only the agent's (OUTBOUND).",
)
@click.option("--status", metavar="STATUS", help="Only messages with this status, such as FAILED.")
@click.option("--after", metavar="PLACE", help="Only messages after this: a bookmark or the id of a message.")
@connects
@click.pass_context
def messages(context: click.Context, /, thread_id: str, **given: Any) -> None:
    """Print the messages of a thread, the oldest first.

    On a terminal it prints a table. Else it prints a line for each message, with tabs between time, sender and text.
    """
    out = output(context)
    with connection(context).client() as feather:
        thread = feather.thread(thread_id)
        listed = thread.messages(
            direction=given["direction"], status=given["status"], after=given["after"], newest_first=given["newest"]
        )
        found: Iterator[Message] = islice(listed, given["limit"])
        if not out.as_json:
            print_messages(found)
            return
        for message in found:
            out.result("", message_data(message, thread.id))


@click.command
@click.argument("thread_id", metavar="THREAD")
@click.option("--after", metavar="PLACE", help="Begin after this: a bookmark or the id of a message.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Leave after this many messages.")
@connects
@click.pass_context
def tail(context: click.Context, thread_id: str, after: str | None, count: int | None) -> None:
    """Print the agent's new messages as they come, until ctrl-c.

    When it ends, it prints a bookmark to standard error: `--after BOOKMARK` goes on there.
    """
    out = output(context)
    with connection(context).client() as feather, feather.thread(thread_id).conversation(after=after) as chat:
        bookmark = chat.bookmark
        try:
            for message in islice(chat, count):
                after_it = chat.bookmark
                out.result(news_line(message), {**message_data(message, thread_id), "bookmark": after_it})
                # Only now, so that a message that could not be printed comes again.
                bookmark = after_it
        finally:
            out.note(f"To go on: featherhq tail {thread_id} --after {bookmark}", {"bookmark": bookmark})


@contextmanager
def _thread(context: click.Context, given: dict[str, Any]) -> Iterator[Thread]:
    """The thread that a message goes to: the given one, or a new one."""
    thread_id, agent = given["thread"], given["agent"]
    if thread_id is not None and context.get_parameter_source("agent") is ParameterSource.COMMANDLINE:
        raise UsageError("--thread and --agent exclude each other", hint="A thread has its agent. Give one of the two.")
    if thread_id is None:
        agent = needed_agent(agent)
    with connection(context).client(ledger=_ledger(given)) as feather:
        thread = _made(feather, thread_id, agent)
        if thread_id is None:
            output(context).note(f"New thread: {thread.id}", {"thread_id": thread.id})
        yield thread


def _made(feather: Feather, thread_id: str | None, agent: str) -> Thread:
    return feather.threads.create(agent) if thread_id is None else feather.thread(thread_id)


def _ledger(given: dict[str, Any]) -> Any:
    """The ledger of keys, if there is a key.

    Raises:
        UsageError: only one of the two was given, or there is no thread to send to again.
    """
    key, path, thread_id = given["key"], given["ledger"], given["thread"]
    if key is None and path is None:
        return None
    if key is None or path is None:
        raise UsageError("--key and --ledger need each other", hint="The ledger remembers which keys were sent.")
    if thread_id is None:
        raise UsageError("--key needs --thread", hint="Else each run would make a new thread.")
    from featherhq import SQLiteLedger

    return SQLiteLedger(path)


def _text(given: str | None) -> str:
    """The message: the argument, or what standard input holds, without the line break at its end.

    Raises:
        InvalidArgumentError: there is no message, or it is empty, or is not text in UTF-8.
    """
    if given not in {None, "-"}:
        # Before a thread is made.
        return _validation.text("text", given)
    stream = sys.stdin
    if stream is None or (given is None and stream.isatty()):
        raise InvalidArgumentError("there is no message", hint="Give it as an argument, or through a pipe.")
    try:
        text = stream.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidArgumentError("standard input is not text in UTF-8", hint="Nothing was sent.") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise InvalidArgumentError("standard input is empty", hint="Nothing was sent.")
    return text
