"""The tables of a report, except those of the measurements under the rate limit."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from clients import CLIENTS
from measure_start import IMPORTS, PROGRAMS
from parts import TASKS
from report_bars import bars
from report_rate_limit_tables import rate_limit_tables
from results import Results, median_of

Table = tuple[str, list[list[str]]]
"""A title, and rows of cells. The first row is the head."""


def tables(results: Results) -> Iterator[Table]:
    """Yield the tables of all parts that were measured."""
    yield "Bars", [["measure", "measured", "bar", ""], *(bar.cells() for bar in bars(results))]
    yield from _send_tables(results)
    if results.imports:
        yield _start_table(results)
    yield from _load_tables(results)
    yield from rate_limit_tables(results.rate_limit)


def _send_tables(results: Results) -> Iterator[Table]:
    if results.throughput:
        head = ["client", *(f"{tasks} task{'s' * (tasks > 1)}" for tasks in TASKS)]
        for name, unit, form in (("rate", "requests a second", ".0f"), ("p99", "p99, ms", ".1f")):
            rows = [
                [client, *(f"{median_of(results.throughput[client, tasks], name):{form}}" for tasks in TASKS)]
                for client in CLIENTS
            ]
            yield f"Asynchronous sends: {unit}", [head, *rows]
    for title, found in (
        ("CPU time of an asynchronous send, with 10 tasks", results.cpu),
        ("Time of a synchronous send", results.sync),
    ):
        if found:
            rows = [[client, f"{median_of(found, client):.0f}"] for client in CLIENTS if client in found[0]]
            yield title, [["client", "µs"], *rows]


def _start_table(results: Results) -> Table:
    rows = []
    for client in IMPORTS:
        took, held = zip(*results.imports[client], strict=True)
        program = f"{median(results.programs[client]):.0f}" if client in PROGRAMS else ""
        rows.append([client, f"{median(took):.0f}", f"{median(held) / 1024:.1f}", program])
    return (
        "An import, and a program that sends one message",
        [["client", "import, ms", "memory after it, MB", "program, ms"], *rows],
    )


def _load_tables(results: Results) -> Iterator[Table]:
    if results.conversations:
        rows = [
            [
                client,
                f"{median_of(found, 'open'):.2f}",
                f"{median_of(found, 'kb'):.1f}",
                f"{min(one['heard'] for one in found)} of 5000",
                *(f"{median_of(found, name):.0f}" for name in ("p50", "p99")),
                f"{median_of(found, 'cpu'):.2f}",
            ]
            for client, found in results.conversations.items()
        ]
        head = ["client", "time to open, s", "memory of each, KB", "messages received", "p50, ms", "p99, ms", "CPU, s"]
        yield "1,000 open streams, and 5 messages to all of them", [head, *rows]
    if results.cancellation:
        rows = [
            [client, *(str(found[name]) for name in ("succeeded", "connections", "streams"))]
            for client, found in results.cancellation.items()
        ]
        yield (
            "100 calls after 5 s of cancelled calls and streams, on a pool of 10 connections",
            [["client", "calls that succeed", "connections still open", "streams still open"], *rows],
        )
    if results.limiter:
        row = [f"{results.limiter[name]:.4g}" for name in ("replies", "requests", "refused", "wall", "ratio")]
        yield (
            "100 callers who create a thread and ask, with a limit of 10 requests a second in client and sandbox",
            [["replies", "requests", "refused (429)", "seconds", "over requests/10"], row],
        )
    if results.memory:
        rows = [[name, f"{median_of(results.memory, name):.2f}"] for name in results.memory[0]]
        yield (
            "Growth of memory in 10,000 calls and 1,000 conversations, after the first tenth of them",
            [["", "MB"], *rows],
        )
