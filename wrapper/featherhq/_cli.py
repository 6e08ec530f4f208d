"""The command line. `python -m featherhq sandbox` starts the sandbox."""

from __future__ import annotations

import argparse
import math
import sys
import threading
from typing import TYPE_CHECKING, Final

from featherhq._settings import DEFAULT_RATE_LIMIT
from featherhq._version import __version__
from featherhq.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featherhq.sandbox._limit import Counting

_LARGEST_PORT: Final = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The arguments without the program's name; `None` for those of the process.

    Returns:
        The exit status: 0 after Ctrl-C, 1 if the sandbox cannot start.

    Raises:
        SystemExit: The arguments are invalid (status 2), or they ask for the help or the version (status 0).
    """
    parser = argparse.ArgumentParser(prog="featherhq", description="An independent client for Feather web chat.")
    parser.add_argument("--version", action="version", version=f"featherhq {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    sandbox = commands.add_parser("sandbox", help="run a local server that behaves like Feather's API, for tests")
    sandbox.add_argument("--port", type=_port, default=0, help="the port (default: any free port)")
    sandbox.add_argument("--api-key", default="sandbox-key", help="the API key it accepts (default: %(default)s)")
    sandbox.add_argument(
        "--rate-limit",
        type=_rate_limit,
        default=DEFAULT_RATE_LIMIT,
        help="requests per second, or 0 for no limit (default: %(default)s)",
    )
    sandbox.add_argument(
        "--counting",
        # Not imported from the sandbox, because its extra may not be installed.
        choices=("bucket", "sliding", "fixed"),
        default="bucket",
        help="how requests are counted: a token bucket, a sliding window or fixed windows (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    try:
        return _sandbox(given.port, given.api_key, given.rate_limit or None, given.counting)
    except ValueError as error:
        sandbox.error(str(error))


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= _LARGEST_PORT:
        expected = f"a whole number from 0 to {_LARGEST_PORT}"
        raise argparse.ArgumentTypeError(f"expected {expected}, not {one_line(repr(text))}")
    return port


def _rate_limit(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected requests per second above 0, or 0 for no limit, not {one_line(repr(text))}"
        )
    return rate


def _sandbox(port: int, api_key: str, rate_limit: float | None, counting: Counting) -> int:
    try:
        from featherhq.sandbox import Sandbox  # noqa: PLC0415 - only this command needs the extra
    except ImportError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    try:
        with Sandbox(api_key=api_key, port=port, rate_limit=rate_limit, counting=counting) as running:
            print(f"The sandbox listens on {running.url}. Press Ctrl-C to stop it. To connect a client to it:\n")  # noqa: T201
            print(f"  export FEATHER_BASE_URL={running.url}")  # noqa: T201
            print(f"  export FEATHER_API_KEY={running.api_key}", flush=True)  # noqa: T201
            threading.Event().wait()
    except KeyboardInterrupt:
        print()  # noqa: T201
        return 0
    except OSError as error:
        print(f"featherhq sandbox: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0  # pragma: no cover - only Ctrl-C ends the wait
