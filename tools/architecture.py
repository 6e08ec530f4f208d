"""Draws the table of a conversation's states into docs/architecture.md, from the code. `make architecture` runs it.

Each region becomes a diagram (Mermaid) and a table, between two marks in the page. With `--check` nothing is
written: it ends with 1 where the page is not what the code gives.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from featherhq._threads.state import REGIONS, On

PAGE: Final = Path(__file__).parent.parent / "docs" / "architecture.md"
BEGIN: Final = "<!-- drawn from the code by `make architecture`: do not edit -->"
END: Final = "<!-- end of what is drawn -->"


def drawn() -> str:
    """The diagrams and tables of all regions."""
    return "\n\n".join([*(_region(name) for name in REGIONS), _events()])


def _region(name: str) -> str:
    table = REGIONS[name]
    events = [event for event in On if any(event in row for row in table.values())]
    lines = [f"### {name}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(table)).name}"]
    for state, row in table.items():
        reached: dict[str, list[str]] = {}
        for event, after in row.items():
            reached.setdefault(after.name, []).append(event.name)
        lines += [f"    {state.name} --> {after}: {', '.join(names)}" for after, names in reached.items()]
    lines += ["```", "", f"| {name} | {' | '.join(event.name for event in events)} |"]
    lines += [f"| --- |{' --- |' * len(events)}"]
    for state, row in table.items():
        cells = [row[event].name if event in row else "" for event in events]
        lines.append(f"| **{state.name}** | {' | '.join(cells)} |")
    return "\n".join(lines)


def _events() -> str:
    """What each event means, from the strings that stand below them in the code."""
    source = Path(sys.modules[On.__module__].__file__ or "").read_text("utf-8").split("class On(Enum):")[1]
    lines = ["### Events", "", "| event | meaning |", "| --- | --- |"]
    for event in On:
        meaning = source.split(f"    {event.name} = auto()\n", 1)[1].split('"""')[1]
        lines.append(f"| {event.name} | {meaning} |")
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where the page is out of date")
    given = parser.parse_args()
    page = PAGE.read_text("utf-8")
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        print(f"{PAGE}: expected the lines {BEGIN!r} and {END!r}", file=sys.stderr)
        return 1
    made = f"{before}{BEGIN}\n\n{drawn()}\n\n{END}{after}"
    if given.check and made != page:
        print(f"{PAGE}: the table of states has changed in the code: run `make architecture`", file=sys.stderr)
        return 1
    if not given.check:
        PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
