"""Messages and threads as a command prints them: as JSON, as lines, and as tables."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from featherhq._cli.output import is_terminal, shown, shown_in_line
from featherhq.models import INBOUND, OUTBOUND, read_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from featherhq import Message, SentMessage, Thread

# In terminals with fewer columns, a table leaves things out.
_WIDE: Final = 72
_WHO: Final = {INBOUND: "you", OUTBOUND: "agent"}


def message_data(message: Message, thread_id: str) -> dict[str, Any]:
    """A message as JSON."""
    return {
        "id": message.id,
        "thread_id": thread_id,
        "direction": message.direction,
        "text": message.text,
        "created_at": _iso(message.created_at),
        "status": message.status,
    }


def sent_data(sent: SentMessage) -> dict[str, Any]:
    """The receipt for a message as JSON."""
    return {
        "message_id": sent.message_id,
        "thread_id": sent.thread_id,
        "status": sent.status,
        "window_expires_in": sent.window_expires_in,
        "reconciled": sent.reconciled,
        "request_id": sent.request_id,
        "sent_at": _iso(sent.sent_at),
    }


def thread_data(thread: Thread) -> dict[str, Any]:
    """A thread as JSON. What Feather did not send is null."""

    def text(name: str) -> str | None:
        value = getattr(thread.details, name, None)
        # A missing field is an object of another type.
        return value if isinstance(value, str) else None

    return {
        "id": thread.id,
        "agent_id": text("agent_id"),
        "is_active": thread.is_active,
        "created_at": _iso(thread.created_at),
        "closed_at": _iso(read_time(text("closed_at"))),
        "closed_reason": text("closed_reason"),
        "metadata": thread.metadata,
        "variables": thread.variables,
    }


def who(message: Message) -> str:
    """Who wrote a message."""
    return _WHO.get(message.direction or "", "?")


def message_line(message: Message) -> str:
    """A message in one line, with tabs between its fields, for other programs."""
    return "\t".join([_iso(message.created_at) or "", who(message), shown_in_line(message.text)])


def news_line(message: Message) -> str:
    """A new message of the agent: for people on a terminal, else as `message_line`."""
    if not is_terminal(sys.stdout):
        return message_line(message)
    clock = "" if message.created_at is None else f"{message.created_at.astimezone():%H:%M:%S}"
    return f"{clock:<10}{shown(message.text)}"


def thread_line(data: dict[str, Any]) -> str:
    """A thread in one line, with tabs between its fields, for other programs."""
    return "\t".join([data["id"], _state(data), data["created_at"] or "", shown_in_line(data["agent_id"] or "")])


def thread_lines(data: dict[str, Any]) -> str:
    """A thread in several lines, one for each field."""
    lines = [f"thread     {data['id']}", f"state      {_state(data)}"]
    lines += [
        f"{label:<10} {shown_in_line(data[name])}"
        for label, name in (
            ("agent", "agent_id"),
            ("created", "created_at"),
            ("closed", "closed_at"),
            ("because", "closed_reason"),
        )
        if data[name]
    ]
    for name in ("metadata", "variables"):
        lines += [f"{name:<10} {shown_in_line(f'{key}={value}')}" for key, value in data[name].items()]
    return "\n".join(lines)


def print_messages(messages: Iterable[Message]) -> None:
    """Print messages: a table on a terminal, else one line for each."""
    if not is_terminal(sys.stdout):
        for message in messages:
            click.echo(message_line(message))
        return
    is_wide = columns() >= _WIDE
    table = _table("When", "From", *(["Status"] if is_wide else []), "Text")
    for message in messages:
        status = [shown_in_line(message.status or "")] if is_wide else []
        table.add_row(_local(message.created_at, is_wide=is_wide), who(message), *status, _text(shown(message.text)))
    _print(table)


def print_threads(threads: Iterable[dict[str, Any]]) -> None:
    """Print threads, given as JSON: a table on a terminal, else one line for each."""
    if not is_terminal(sys.stdout):
        for data in threads:
            click.echo(thread_line(data))
        return
    is_wide = columns() >= _WIDE
    table = _table("Thread", *(["State", "Created"] if is_wide else []))
    for data in threads:
        rest = [_state(data), _local(read_time(data["created_at"]), is_wide=is_wide)]
        table.add_row(*([data["id"], *rest] if is_wide else ["\n".join([data["id"], "  ".join(rest)])]))
    _print(table)


def columns() -> int:
    """The width of the terminal."""
    return shutil.get_terminal_size().columns


def _table(*names: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, no_wrap=name != "Text", overflow="fold")
    return table


def _text(text: str) -> Any:
    """A text without rich's markup."""
    from rich.text import Text

    return Text(text)


def _print(table: Any) -> None:
    from rich.console import Console

    Console(width=columns(), highlight=False, markup=False, emoji=False).print(table)


def _state(data: dict[str, Any]) -> str:
    return {True: "open", False: "closed"}.get(data["is_active"], "unknown")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _local(moment: datetime | None, *, is_wide: bool) -> str:
    """A time in the time zone of this machine."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S" if is_wide else "%m-%d %H:%M")
