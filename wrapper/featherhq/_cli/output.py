"""What a command prints: text for people, or one JSON object per line.

Results go to standard output. All else (hints, progress, errors) goes to standard error. Text from the server cannot
control the terminal: see `shown`.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

import click

from featherhq.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH: Final = "featherhq.path"
"""Where a context keeps the command that runs."""

_JSON: Final = "featherhq.json"
# They shape letters (in Persian, in emoji) and cannot control a terminal.
_JOINERS: Final = "\u200c\u200d"


class Output(NamedTuple):
    """Prints what a command has to say.

    Attributes:
        as_json: Whether each line is a JSON object.
    """

    as_json: bool

    def result(self, text: str, data: Mapping[str, object]) -> None:
        """Print a result to standard output.

        Args:
            text: The result for people.
            data: The result for programs.
        """
        click.echo(one_json(data) if self.as_json else text)

    def note(self, text: str, data: Mapping[str, object]) -> None:
        """Print something beside the result to standard error.

        Args:
            text: For people.
            data: For programs.
        """
        click.echo(one_json(data) if self.as_json else text, err=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show a spinner while the block runs, if somebody looks at a terminal."""
        if self.as_json or not is_terminal(sys.stderr):
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(text, spinner="dots" if "utf" in sys.stderr.encoding.lower() else "line"):
            yield


def json_option(function: Any) -> Any:
    """Add the option `--json` to a command."""

    def keep(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it so
        context.meta[_JSON] = value
        context.meta[PATH] = context.command_path

    about = "Print one JSON object per line."
    return click.option("--json", is_flag=True, expose_value=False, callback=keep, help=about)(function)


def output(context: click.Context) -> Output:
    """The output of a command with the option `--json`."""
    return Output(context.meta[_JSON])


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}


def shown(text: str) -> str:
    """Text from the server as it may be printed: characters that could control the terminal become escapes.

    Line breaks stay. Spaces of other widths become plain spaces.
    """
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    if text.isprintable():
        return text
    return "".join(_shown_character(one) for one in text)


def shown_in_line(text: str) -> str:
    """As `shown`, in one line: line breaks become escapes, too."""
    return shown(text).replace("\n", "\\n")


def _shown_character(one: str) -> str:
    if one == "\n" or one in _JOINERS:
        return one
    return " " if unicodedata.category(one) == "Zs" else printable(one)


def one_json(data: Mapping[str, object]) -> str:
    """A JSON object in one line. Characters that could control a terminal are escaped."""
    text = json.dumps(data, ensure_ascii=False)
    # Characters like these stand only inside its strings, where JSON has escapes for them.
    return text if text.isprintable() else "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def prepare_streams() -> None:
    """Let standard output and standard error print any text. What their encoding does not have becomes escapes."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a stream that is closed, or that another program has put there
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def drop_streams() -> None:
    """Stop writing, because the reader has gone. Python itself would complain when it flushes at its end."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, stream.fileno())
            finally:
                os.close(nowhere)
