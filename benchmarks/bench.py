"""Compare featherhq with other clients: `make bench`. Print tables, and write them and a plot to results.md.

Each measurement runs in its own process (`measure.py`), and its server in another. Most of them run in several rounds,
and the report shows medians. Compare only values of the same run.

With --only the command measures some parts, prints their tables, and writes no file:

    .venv/bench/bin/python benchmarks/bench.py .venv/bare/bin/python --only=cpu,start --rounds=1

The exit status is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import sys

from parts import PARTS, Run
from report_bars import bars
from report_output import show, write_page
from report_plot import draw


def _parts(text: str) -> list[str]:
    """Parse the value of --only."""
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    return names


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parts = "\n".join(f"  {name:<14} {what}" for name, what in PARTS.items())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"the parts:\n{parts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bare", metavar="PYTHON", help="a Python with only this package and its dependencies")
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure (default: 5)")
    parser.add_argument("--only", type=_parts, metavar="PARTS", help="measure these parts, separated by commas")
    given = parser.parse_args(arguments)
    run = Run(given.bare, given.rounds, given.only or PARTS)
    run.run()
    if given.only is None:
        write_page(run.results)
        draw(run.results)
    show(run.results)
    missed = [bar.measure for bar in bars(run.results) if not bar.holds]
    print(f"\nMISSED: {'; '.join(missed)}" if missed else "\nAll bars hold.")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
