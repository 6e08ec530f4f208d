"""The plot of a report: `results.png`."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any, Final

from clients import CLIENTS
from measure_start import PROGRAMS
from parts import TASKS
from results import Results, median_of

PLOT: Final = Path(__file__).parent / "results.png"
_COLOURS: Final = dict(
    zip(CLIENTS, ("#3f3f3f", "#9a9a9a", "#c9a227", "#5b8c5a", "#4f7cac", "#7a5c8e", "#c8452d"), strict=True)
)


def draw(results: Results) -> None:
    """Write the plot."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, ((rate, late), (start, memory)) = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for panel, name, title in ((rate, "rate", "requests a second"), (late, "p99", "p99 of a request, ms")):
        _draw_lines(panel, results, name)
        panel.set(title=f"Asynchronous sends: {title}")
    late.set_yscale("log")
    rate.legend(frameon=False)
    times = {name: median(took) for name, took in results.programs.items()}
    _draw_bars(start, times)
    start.set(title="A program that sends one message, ms")
    _draw_bars(memory, {name: median(held for _, held in results.imports[name]) / 1024 for name in PROGRAMS})
    memory.set(title="Memory after an import, MB")
    figure.savefig(PLOT, dpi=110)


def _draw_lines(panel: Any, results: Results, name: str) -> None:
    """Draw one value of each client by the number of tasks."""
    for client in CLIENTS:
        values = [median_of(results.throughput[client, tasks], name) for tasks in TASKS]
        panel.plot(TASKS, values, marker="o", color=_COLOURS[client], label=client, linewidth=2)
    panel.set(xlabel="tasks", xscale="log", xticks=TASKS)
    panel.set_xticklabels([str(tasks) for tasks in TASKS])
    panel.minorticks_off()
    panel.grid(alpha=0.3)


def _draw_bars(panel: Any, values: dict[str, float]) -> None:
    """Draw one value of each client."""
    drawn = panel.barh(list(values), list(values.values()), color=[_COLOURS[name] for name in values])
    panel.bar_label(drawn, fmt="%.0f", padding=3)
    panel.invert_yaxis()
    panel.spines[["top", "right"]].set_visible(False)
