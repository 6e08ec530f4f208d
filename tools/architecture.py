"""Write the table of states into docs/architecture.md, from the code. `make architecture` runs it.

The tables stand between two marks in the page. `pictures.py` draws them, and the layers. With `--check`, nothing is
written. Then the exit status is 1 if the page does not match the code.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from featherhq._threads.table import REGIONS, Trigger
from grimp import build_graph

PAGE: Final = Path(__file__).parent.parent / "docs" / "architecture.md"
# The boxes of the drawing, from top to bottom. Small modules are in no box, and are not drawn.
BOXES: Final = {
    "public": ("_async", "_sync"),
    "api": ("_api",),
    "settings": ("_settings",),
    "limits": ("_limits",),
    "telemetry": ("_telemetry",),
    "http": ("_http",),
    "stores": ("_redis", "_sqlite"),
    "threads": ("_threads",),
    "logging": ("_logging",),
    "core": ("_core",),
    "base": ("_forks", "_validation", "errors", "ledgers", "models"),
}
LABELS: Final = {
    "public": "_async, _sync<br>the public classes",
    "api": "_api<br>feather.api",
    "settings": "_settings<br>settings of a client",
    "limits": "_limits<br>the rate limits that a client takes",
    "telemetry": "_telemetry<br>tells OpenTelemetry of events",
    "http": "_http<br>runners, connections, their errors",
    "stores": "_redis, _sqlite<br>what processes share",
    "threads": "_threads<br>what a thread can do, as flows",
    "logging": "_logging<br>the first listener of events",
    "core": "_core<br>effects, attempts, retry, rate limit",
    "base": "errors, models, ledgers, _validation, _forks",
}


BEGIN: Final = "<!-- states: made from the code by `make architecture`, do not edit -->"
END: Final = "<!-- end of states -->"
ALT: Final = {
    "stream": "The states of a stream, and what leads from one to another",
    "coverage": "Whether everything was seen, and what changes that",
    "scan": "Whether the list is being read, and what changes that",
}


def imports() -> tuple[dict[str, str], list[tuple[tuple[str, str], int]]]:
    """The boxes with their texts, and the number of imports between them. Imports for type checkers do not count."""
    graph = build_graph("featherhq", exclude_type_checking_imports=True)
    box_of = {name: box for box, names in BOXES.items() for name in names}

    def box(module: str) -> str | None:
        return box_of.get(module.removeprefix("featherhq").strip(".").partition(".")[0])

    edges: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        here = box(module)
        for other in graph.find_modules_directly_imported_by(module):
            there = box(other)
            if here and there and here != there:
                edges[here, there] += 1
    order = list(BOXES)
    return LABELS, sorted(edges.items(), key=lambda item: [order.index(name) for name in item[0]])


def _states() -> str:
    """The pictures and tables of all regions."""
    return "\n\n".join([*(_region(name) for name in REGIONS), _triggers()])


def _region(name: str) -> str:
    table = REGIONS[name]
    triggers = [trigger for trigger in Trigger if any(trigger in row for row in table.values())]
    lines = [
        f"### {name}",
        "",
        f"![{ALT[name]}](images/conversation-{name}.svg)",
        "",
        f"| {name} | {' | '.join(trigger.name for trigger in triggers)} |",
    ]
    lines += [f"| --- |{' --- |' * len(triggers)}"]
    for state, row in table.items():
        cells = [row[trigger].name if trigger in row else "" for trigger in triggers]
        lines.append(f"| **{state.name}** | {' | '.join(cells)} |")
    return "\n".join(lines)


def _triggers() -> str:
    """The table of triggers with their meanings, which are the strings below them in the code."""
    source = Path(sys.modules[Trigger.__module__].__file__ or "").read_text("utf-8").split("class Trigger(Enum):")[1]
    lines = ["### Triggers", "", "| trigger | meaning |", "| --- | --- |"]
    for trigger in Trigger:
        meaning = source.split(f"    {trigger.name} = auto()\n", 1)[1].split('"""')[1]
        lines.append(f"| {trigger.name} | {meaning} |")
    return "\n".join(lines)


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if the page is out of date")
    given = parser.parse_args()
    page = made = PAGE.read_text("utf-8")
    before, found, rest = made.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        print(f"{PAGE}: expected the lines {BEGIN!r} and {END!r}", file=sys.stderr)
        return 1
    made = f"{before}{BEGIN}\n\n{_states()}\n\n{END}{after}"
    if given.check and made != page:
        print(f"{PAGE}: the code has changed: run `make architecture`", file=sys.stderr)
        return 1
    if not given.check:
        PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
