"""`featherhq sandbox`."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

import click

from featherhq._cli.output import json_option, output
from featherhq._settings import DEFAULT_RATE_LIMIT
from featherhq.errors import UsageError, one_line

if TYPE_CHECKING:
    from featherhq.sandbox._limit import Counting

_LARGEST_PORT: Final = 65535


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= _LARGEST_PORT:
        raise click.BadParameter(f"expected a whole number from 0 to {_LARGEST_PORT}, not {one_line(repr(text))}")
    return port


def _rate_limit(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        expected = "requests per second above 0, or 0 for no limit"
        raise click.BadParameter(f"expected {expected}, not {one_line(repr(text))}")
    return rate


@click.command
@click.option("--port", type=_port, default=0, metavar="PORT", help="The port. Default: any free port.")
@click.option("--api-key", default="sandbox-key", show_default=True, metavar="KEY", help="The API key that it accepts.")
@click.option(
    "--rate-limit",
    type=_rate_limit,
    default=DEFAULT_RATE_LIMIT,
    show_default=True,
    metavar="RATE",
    help="Requests per second, or 0 for no limit.",
)
@click.option(
    "--counting",
    # Not imported from the sandbox, because its extra may not be installed.
    type=click.Choice(["bucket", "sliding", "fixed"]),
    default="bucket",
    show_default=True,
    help="How requests are counted: a token bucket, a sliding window or fixed windows.",
)
@click.option(
    "--keep", metavar="FILE", help="A file in which threads and messages are kept, for the next time. Default: none."
)
@json_option
@click.pass_context
def sandbox(
    context: click.Context, port: int, api_key: str, rate_limit: float, counting: Counting, keep: str | None
) -> None:
    """Run a local server that behaves like Feather's API, for tests. Ctrl-c ends it, with exit status 0."""
    from featherhq.sandbox import Sandbox

    out = output(context)
    try:
        made = Sandbox(api_key=api_key, port=port, rate_limit=rate_limit or None, counting=counting, keep=keep)
        with made as running:
            out.result(
                f"The sandbox listens on {running.url}. Press Ctrl-C to stop it. To connect a client to it:\n\n"
                f"  export FEATHER_BASE_URL={running.url}\n"
                f"  export FEATHER_API_KEY={running.api_key}",
                {"url": running.url, "api_key": running.api_key},
            )
            threading.Event().wait()
    except ValueError as error:
        raise UsageError(str(error), hint="Nothing was started.") from None
    except KeyboardInterrupt:
        if not out.as_json:
            click.echo()
