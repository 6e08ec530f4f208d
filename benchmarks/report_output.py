"""Output of the tables: as the page `results.md`, and on the terminal."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

from report_plot import PLOT
from report_tables import tables
from results import Results

PAGE: Final = Path(__file__).parent / "results.md"


def write_page(results: Results) -> None:
    """Write all tables into `results.md`."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("featherhq", "httpx", "aiohttp", "httpx-aiohttp", "httpcore2", "openai")
    )
    parts = [
        "# Benchmarks",
        (
            "`make bench` writes this page. It measures everything in one run. The machines are noisy, so compare "
            "ratios and not times. All servers run on the same machine. The values are medians of "
            f"{results.rounds} rounds. {os.cpu_count()} cores, {platform.system()}, Python "
            f"{platform.python_version()}; {packages}. “aiohttp” is one `ClientSession` without anything around it. "
            "“generated” is the generated client alone. “openai” is the client of the package openai, and sends the "
            "same request. Nothing here ran against the vendor's servers. “Unasked” messages are those that the agent "
            "writes without a question."
        ),
        f"![Throughput and latency by tasks, time and memory of a program]({PLOT.name})",
    ]
    for title, (head, *rows) in tables(results):
        lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    PAGE.write_text("\n\n".join(parts) + "\n", "utf-8")


def show(results: Results) -> None:
    """Print all tables on the terminal."""
    for title, rows in tables(results):
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        print(f"\n{title}")
        for row in rows:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            print("  " + "   ".join(cells).replace("**", ""))
