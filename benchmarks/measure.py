"""Run one measurement and print its result as JSON: `python benchmarks/measure.py fleet --conversations 20`.

`bench.py` runs each measurement in its own process with this command. `python benchmarks/measure.py NAME --help` lists
the arguments of a measurement. A result that is infinite is printed as `Infinity`. Memory is read from /proc, so this
needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any, Final

from measure_callers import callers
from measure_cancellation import cancellation
from measure_conversations import conversations
from measure_fleet import fleet
from measure_gap import gap
from measure_idle import idle
from measure_limiter import limiter
from measure_memory import memory
from measure_sends import cpu, sync, throughput
from server_rate_limit_counters import COUNTERS

MEASUREMENTS: Final[dict[str, Callable[..., Any]]] = {
    measurement.__name__: measurement
    for measurement in (
        throughput,
        sync,
        cpu,
        conversations,
        memory,
        cancellation,
        limiter,
        fleet,
        idle,
        gap,
        callers,
    )
}
_CHOICES: Final = {("fleet", "client"): ("featherhq", "naive")}


def _add_arguments(command: argparse.ArgumentParser, measurement: Callable[..., Any]) -> None:
    """Give a command the arguments of the measurement's function, under the same names."""
    for name, parameter in inspect.signature(measurement, eval_str=True).parameters.items():
        flag, default = f"--{name.replace('_', '-')}", parameter.default
        choices = COUNTERS if name == "counting" else _CHOICES.get((measurement.__name__, name))
        if default is parameter.empty:
            command.add_argument(name, type=parameter.annotation)
        elif isinstance(default, bool):
            command.add_argument(flag, action="store_true")
        elif isinstance(default, tuple):
            command.add_argument(flag, type=float, nargs=len(default), default=default)
        else:
            command.add_argument(flag, type=type(default), default=default, choices=choices)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="measurement")
    for name, measurement in MEASUREMENTS.items():
        docstring = inspect.getdoc(measurement) or ""
        command = commands.add_parser(
            name,
            help=docstring.partition("\n")[0],
            description=docstring,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_arguments(command, measurement)
    given = vars(parser.parse_args())
    result = MEASUREMENTS[given.pop("measurement")](**given)
    print(json.dumps(asyncio.run(result) if asyncio.iscoroutine(result) else result))


if __name__ == "__main__":
    main()
