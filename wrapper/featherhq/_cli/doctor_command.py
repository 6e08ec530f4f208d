"""`featherhq doctor`: prints what the checks have found."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import click

from featherhq._cli.checks import examine
from featherhq._cli.exits import Exit
from featherhq._cli.findings import State
from featherhq._cli.output import is_terminal, output, shown_in_line
from featherhq._cli.records import columns
from featherhq._cli.settings import connection, connects

if TYPE_CHECKING:
    from featherhq._cli.findings import Finding

_COLORS: Final = {State.OK: "green", State.NOTE: "yellow", State.PROBLEM: "red", State.SKIPPED: "yellow"}
_INDENT: Final = 9


@click.command
@connects
@click.pass_context
def doctor(context: click.Context) -> None:
    """Find out why Feather cannot be used, and what to do.

    It checks the API key, the URL, the proxy, the connection, TLS, the clock, the latency and the rate limit, in this
    order. It makes at most four requests, all of which only read. The exit status is that of the first problem.
    """
    out = output(context)
    status = Exit.DONE
    for finding in examine(connection(context)):
        data = {
            "check": finding.check,
            "state": finding.state.value,
            "message": finding.text,
            "hint": finding.hint or None,
        }
        out.result(_for_people(finding), data)
        if status is Exit.DONE:
            status = finding.status
    context.exit(status)


def _for_people(finding: Finding) -> str:
    """A finding in one line, and what to do in the next."""
    on_terminal = is_terminal(sys.stdout)
    word = finding.state.value
    lines = [f"{word:<{_INDENT}}{finding.check}: {shown_in_line(finding.text)}"]
    if finding.hint:
        lines.append(" " * _INDENT + shown_in_line(finding.hint))
    if on_terminal:
        indent = " " * _INDENT
        lines = [textwrap.fill(line, columns(), subsequent_indent=indent, break_on_hyphens=False) for line in lines]
        if not os.environ.get("NO_COLOR"):
            lines[0] = click.style(word, fg=_COLORS[finding.state]) + lines[0].removeprefix(word)
    return "\n".join(lines)
