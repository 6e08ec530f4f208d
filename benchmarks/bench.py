"""Everything side by side, in one run of several rounds: `make bench`. Prints a table, and writes it and a plot.

Each measurement runs in a process of its own (`measure.py`), against a server in another (`server.py`), and the clients
take turns within each round, so that a machine that gets slower meanwhile does so for all. Medians count, and
ratios within the run. What takes its time because of the rate limit (`fleet.py`) runs once, after all that. Ends with 1
where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from attrs import frozen
from server import THREAD_ID

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results.md"
PLOT: Final = HERE / "results.png"
CLIENTS: Final = ("httpx", "httpx-aiohttp", "generated", "openai", "featherhq")
TASKS: Final = (1, 10, 50, 200)
IMPORTS: Final = {
    "httpx": "import httpx",
    "httpx and attrs": "import httpx, attrs",
    "generated": "import featherhq_api.api.threads.send_message",
    "openai": "import openai",
    "featherhq": "from featherhq import Feather",
}
_SEND: Final = f"/api/v1/threads/{THREAD_ID}/messages"
PROGRAMS: Final = {
    "httpx": f"""
import httpx
with httpx.Client(base_url="URL", headers={{"X-API-Key": "key"}}) as client:
    client.post("{_SEND}", json={{"message": "hello"}}).raise_for_status().json()["messageId"]
""",
    "generated": f"""
from uuid import UUID
from featherhq_api import AuthenticatedClient
from featherhq_api.api.threads import send_message
from featherhq_api.models import SendMessageBody
with AuthenticatedClient(base_url="URL", token="key", prefix="", auth_header_name="X-API-Key") as client:
    body = SendMessageBody(message="hello")
    send_message.sync(UUID("{THREAD_ID}"), client=client, body=body)
""",
    "openai": f"""
from openai import OpenAI
with OpenAI(api_key="key", base_url="URL") as client:
    client.post("{_SEND}", body={{"message": "hello"}}, cast_to=object)
""",
    "featherhq": f"""
from featherhq import Feather
with Feather("key", base_url="URL") as feather:
    feather.thread("{THREAD_ID}").send("hello")
""",
}
# What `fleet.py` measures: by the name that it has here, its command line. The first word of a fleet's name is how many
# conversations it has.
CROWDS: Final = {
    "200 bucket": ("fleet", "--counting=bucket"),
    "200 sliding": ("fleet", "--counting=sliding"),
    "200 fixed": ("fleet", "--counting=fixed"),
    "400 sliding": ("fleet", "--conversations=400", "--counting=sliding"),
    "200 naive": ("fleet", "--client=naive", "--counting=bucket"),
    "idle": ("idle", "--counting=sliding"),
    "gap": ("gap",),
    "gap, made at once": ("gap", "--after=0"),
    "callers bucket": ("callers", "--counting=bucket"),
    "callers sliding": ("callers", "--counting=sliding"),
    "callers fixed": ("callers", "--counting=fixed"),
}
WAYS: Final = {"bucket": "a token bucket", "sliding": "a sliding window", "fixed": "fixed windows"}
AT_A_TIME: Final = 2
"""Of these, in processes of their own: they spend their time waiting."""
# Told by a program of itself: the seconds of an import, and the kilobytes that it then holds.
_TIMED: Final = """
import time
began = time.perf_counter()
{}
took = time.perf_counter() - began
print(took * 1000, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""

Found = dict[str, Any]


@frozen
class Bar:
    """What has to hold.

    Attributes:
        measure: Of what.
        value: What was measured.
        limit: What it is held against.
        unit: Of both.
        least: Whether the limit is the least that it may be, and not the most.
    """

    measure: str
    value: float
    limit: float
    unit: str = "times"
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.value >= self.limit if self.least else self.value <= self.limit

    def cells(self) -> list[str]:
        """A row of the table."""
        sign = "≥" if self.least else "≤"
        told = [f"{number:.4g} {self.unit}".strip() for number in (self.value, self.limit)]
        return [self.measure, told[0], f"{sign} {told[1]}", "holds" if self.holds else "**MISSED**"]


class Bench:
    """One run.

    Args:
        bare: A Python in whose environment there is this package, and what it needs, and nothing else.
        rounds: How often everything is measured.
    """

    def __init__(self, bare: str, rounds: int) -> None:
        self._bare = bare
        self.rounds = rounds
        self.throughput: dict[tuple[str, int], list[Found]] = defaultdict(list)
        self.sync: list[Found] = []
        self.imports: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.programs: dict[str, list[float]] = defaultdict(list)
        self.conversations: dict[str, list[Found]] = defaultdict(list)
        self.storms: dict[str, Found] = {}
        self.limiter: Found = {}
        self.memory: list[Found] = []
        self.crowds: dict[str, Found] = {}

    def run(self) -> None:
        """Measure everything, so many times."""
        for number in range(self.rounds):
            _say(f"round {number + 1} of {self.rounds}")
            with _server() as url:
                for tasks in TASKS:
                    for client in CLIENTS:
                        self.throughput[client, tasks].append(_measure("throughput", client, url, tasks))
                self.sync.append(_measure("sync", url))
                for _ in range(7):
                    self.start(url)
            for client in ("httpx", "featherhq"):
                with _server() as url:
                    self.conversations[client].append(_measure("conversations", client, url))
            with _server() as url:
                self.memory.append(_measure("memory", url))
        _say("cancelled tasks, and the rate limit")
        for client in ("httpx", "httpx-aiohttp", "featherhq"):
            with _server() as url:
                self.storms[client] = _measure("storm", client, url)
        self.limiter = _measure("limiter")
        _say("fleets under the rate limit, a quarter of an hour")
        self.crowd()

    def crowd(self) -> None:
        """Measure what `fleet.py` does, some at a time."""
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            found = pool.map(lambda line: _measure(*line, program="fleet.py"), CROWDS.values())
            self.crowds = dict(zip(CROWDS, found, strict=True))

    def start(self, url: str) -> None:
        """Start programs: those that import, and those that send one message."""
        for client, code in IMPORTS.items():
            took, held = python(self._python(client), _TIMED.format(code)).split()
            self.imports[client].append((float(took), float(held)))
        for client, code in PROGRAMS.items():
            began = time.perf_counter()
            python(self._python(client), code.replace("URL", url))
            self.programs[client].append((time.perf_counter() - began) * 1000)

    def _python(self, client: str) -> str:
        return sys.executable if client == "openai" else self._bare

    def bars(self) -> list[Bar]:
        """What has to hold, and whether it does."""
        ours = self.conversations["featherhq"]
        grown = {name: median(found[name] for found in self.memory) for name in self.memory[0]}
        most = max(grown, key=lambda name: abs(grown[name]))

        def rates(client: str, tasks: int) -> list[float]:
            return [found["rate"] for found in self.throughput[client, tasks]]

        def held(client: str, which: int) -> list[float]:
            return [found[which] for found in self.imports[client]]

        return [
            Bar("sync send, over the same POST by httpx", median(found["ratio"] for found in self.sync), 1.15),
            Bar(
                "async throughput at 200 tasks, over the generated client",
                _ratio(rates("featherhq", 200), rates("generated", 200)),
                5,
                least=True,
            ),
            Bar(
                "async throughput at 200 tasks, over its own at 10",
                _ratio(rates("featherhq", 200), rates("featherhq", 10)),
                0.8,
                least=True,
            ),
            Bar("time of an import, over import httpx", _ratio(held("featherhq", 0), held("httpx", 0)), 1.25),
            Bar("memory after an import, over import httpx", _ratio(held("featherhq", 1), held("httpx", 1)), 1.2),
            Bar("a whole program, over httpx alone", _ratio(self.programs["featherhq"], self.programs["httpx"]), 1.4),
            Bar("1,000 conversations, opened in", median(found["open"] for found in ours), 3, "s"),
            Bar("memory of each of them", median(found["kb"] for found in ours), 60, "KB"),
            Bar("of 5,000 messages to them, came", min(found["heard"] for found in ours), 5000, "", least=True),
            Bar(
                "p99 of their delivery, over httpx's",
                _ratio([found["p99"] for found in ours], [found["p99"] for found in self.conversations["httpx"]]),
                1.5,
            ),
            Bar(
                "of 100 calls after 5 s of cancelled ones, succeed",
                self.storms["featherhq"]["succeeded"],
                100,
                "",
                least=True,
            ),
            Bar("streams that stay open then", self.storms["featherhq"]["streams"], 0, ""),
            Bar("connections that stay open then, of a pool of 10", self.storms["featherhq"]["connections"], 10, ""),
            Bar("100 callers under a limit of 10/s: refused (429)", self.limiter["refused"], 0, ""),
            Bar("… and their time, over requests/10", self.limiter["ratio"], 1.1),
            Bar(
                f"growth after the first tenth of 10,000 calls, 1,000 conversations ({most})", abs(grown[most]), 2, "MB"
            ),
            *self._crowd_bars(),
        ]

    def _crowd_bars(self) -> Iterator[Bar]:
        """Those of many conversations at the default rate limit; the worst of all ways of counting."""
        parts = list(self._parts())

        def worst(name: str, crowd: str) -> float:
            return float(max(part[name] for part in parts if part["of"] == crowd and name in part))

        def total(*names: str, way: str | None = None) -> int:
            return sum(part.get(name, 0) for part in parts for name in names if way in (None, part["counting"]))

        yield Bar("200 conversations at 10/s, an ask beyond the agent's second: p50", worst("p50", "200"), 0.05, "s")
        yield Bar("… p90", worst("p90", "200"), 0.3, "s")
        yield Bar("… at the most", worst("max", "200"), 2, "s")
        yield Bar("400 conversations at 10/s, the same: p90", worst("p90", "400"), 0.5, "s")
        yield Bar("a send while 1,000 idle conversations are opened, at the most", worst("max", "idle"), 0.2, "s")
        yield Bar(
            "requests of an idle conversation for a life of its stream",
            max(worst("per_life", fleet) for fleet in ("200", "400")),
            2,
            "",
        )
        for way, name in WAYS.items():
            yield Bar(f"refused (429) at 10/s, by {name}", total("refused", way=way), 0, "")
        yield Bar("replies lost", total("replies_lost", "unasked_lost"), 0, "")
        yield Bar("replies doubled", total("replies_doubled"), 0, "")
        yield Bar("messages doubled", total("messages_doubled"), 0, "")
        yield Bar("a reply made while the stream is down, late by", self.crowds["gap"]["median"], 0.25, "s")
        yield Bar("60 callers at once with 3 s each: not known (DeliveryUnknownError)", total("unknown"), 0, "")
        yield Bar("… failed otherwise, and the message stands there", total("standing"), 0, "")

    def _parts(self) -> Iterator[Found]:
        """What `fleet.py` found for this client, with the crowd it is `of`: each fleet, and each kind of callers."""
        for name, found in self.crowds.items():
            if found.get("client") == "naive":
                continue
            for part in (found["async"], found["sync"]) if "async" in found else (found,):
                yield {"of": name.partition(" ")[0], "counting": found["counting"], **part}

    def tables(self) -> Iterator[tuple[str, list[list[str]]]]:
        """All that was measured, as titled tables with a head each."""
        yield "What has to hold", [["measure", "measured", "bar", ""], *(bar.cells() for bar in self.bars())]
        for name, unit, form in (("rate", "requests a second", ".0f"), ("p99", "p99, ms", ".1f")):
            yield (
                f"Asynchronous sends: {unit}",
                [
                    ["client", *(f"{tasks} task{'s' * (tasks > 1)}" for tasks in TASKS)],
                    *(
                        [client, *(f"{_of(self.throughput[client, tasks], name):{form}}" for tasks in TASKS)]
                        for client in CLIENTS
                    ),
                ],
            )
        yield (
            "A synchronous send",
            [
                ["client", "µs"],
                *([client, f"{_of(self.sync, client):.0f}"] for client in CLIENTS if client in self.sync[0]),
            ],
        )
        yield (
            "An import, and a program that sends one message",
            [
                ["client", "import, ms", "then holds, MB", "program, ms"],
                *(
                    [
                        client,
                        f"{median(took for took, _ in self.imports[client]):.0f}",
                        f"{median(held for _, held in self.imports[client]) / 1024:.1f}",
                        f"{median(self.programs[client]):.0f}" if client in PROGRAMS else "",
                    ]
                    for client in IMPORTS
                ),
            ],
        )
        yield (
            "1,000 streams, and 5 messages to each, all at once",
            [
                ["client", "open, s", "each, KB", "heard", "p50, ms", "p99, ms", "CPU, s"],
                *(
                    [
                        client,
                        f"{_of(found, 'open'):.2f}",
                        f"{_of(found, 'kb'):.1f}",
                        f"{min(one['heard'] for one in found)} of 5000",
                        *(f"{_of(found, name):.0f}" for name in ("p50", "p99")),
                        f"{_of(found, 'cpu'):.2f}",
                    ]
                    for client, found in self.conversations.items()
                ),
            ],
        )
        yield (
            "5 s of cancelled calls and streams on a pool of 10, and then 100 calls",
            [
                ["client", "succeed", "connections left", "streams left"],
                *(
                    [client, str(found["succeeded"]), str(found["connections"]), str(found["streams"])]
                    for client, found in self.storms.items()
                ),
            ],
        )
        yield (
            "100 callers who make a thread and ask, rate_limit=10, a sandbox of 10 a second",
            [
                ["replies", "requests", "refused", "seconds", "over requests/10"],
                [f"{self.limiter[name]:.4g}" for name in ("replies", "requests", "refused", "wall", "ratio")],
            ],
        )
        yield (
            "Growth of memory after the first tenth of 10,000 calls and 1,000 conversations",
            [["", "MB"], *([name, f"{_of(self.memory, name):.2f}"] for name in self.memory[0])],
        )
        yield from self._crowd_tables()

    def _crowd_tables(self) -> Iterator[tuple[str, list[list[str]]]]:
        fleets = [found for found in self.crowds.values() if "per_life" in found]
        names = [[found["client"], str(found["conversations"]), WAYS[found["counting"]]] for found in fleets]
        yield (
            "One key at 10 requests a second, streams cut after a minute, 1.6 asks a second: beyond the agent's second",
            [
                ["client", "conversations", "counted by", "asks", "p50, s", "p90, s", "max, s", "failed", "429s"],
                *(
                    [
                        *name,
                        str(found["asks"]),
                        *(f"{found[which]:.3f}" for which in ("p50", "p90", "max")),
                        str(sum(found["failed"].values())),
                        str(found["refused"]),
                    ]
                    for name, found in zip(names, fleets, strict=True)
                ),
            ],
        )
        counts = ("replies", "replies_lost", "replies_doubled", "messages", "messages_doubled")
        yield (
            "… what became of replies and messages, and of what the agent said unasked as a stream was cut",
            [
                [
                    "client",
                    "conversations",
                    "counted by",
                    *(name.replace("_", " ") for name in counts),
                    "unasked",
                    "lost",
                    "p50, s",
                    "max, s",
                ],
                *(
                    [
                        *name,
                        *(str(found[which]) for which in (*counts, "unasked", "unasked_lost")),
                        *(f"{found[which]:.2f}" for which in ("unasked_p50", "unasked_max")),
                    ]
                    for name, found in zip(names, fleets, strict=True)
                ),
            ],
        )
        operations = ("sendMessage", "listMessages", "streamMessages")
        yield (
            "… and the requests of the time measured, and of an idle conversation for a life of its stream",
            [
                ["client", "conversations", "counted by", *operations, "a life"],
                *(
                    [
                        *name,
                        *(str(found["requests"].get(which, 0)) for which in operations),
                        f"{found['per_life']:.2f}",
                    ]
                    for name, found in zip(names, fleets, strict=True)
                ),
            ],
        )
        idle = self.crowds["idle"]
        yield (
            "A message every 3 s while 1,000 idle conversations are being opened",
            [
                ["sends", "p50, s", "max, s", "opened", "in, s", "429s"],
                [
                    str(idle["sends"]),
                    *(f"{idle[which]:.3f}" for which in ("p50", "max")),
                    str(idle["opened"]),
                    f"{idle['open']:.0f}",
                    str(idle["refused"]),
                ],
            ],
        )
        yield (
            "A reply made while the stream is down: seconds until it is handed out",
            [
                ["made", "median, s", "max, s", "failed"],
                *(
                    [
                        f"{found['after'] * 1000:.0f} ms after the cut",
                        *(f"{found[which]:.3f}" for which in ("median", "max")),
                        str(sum(found["failed"].values())),
                    ]
                    for found in self.crowds.values()
                    if "median" in found
                ),
            ],
        )
        yield (
            "60 callers at once with 3 s each",
            [
                ["callers", "counted by", "succeed", "not known", "fail", "of these, sent", "longest, s", "429s"],
                *(
                    [
                        {"async": "tasks", "sync": "threads"}[kind],
                        WAYS[found["counting"]],
                        *(str(found[kind][which]) for which in ("succeeded", "unknown")),
                        str(sum(found[kind]["failed"].values())),
                        str(found[kind]["standing"]),
                        f"{found[kind]['longest']:.2f}",
                        str(found[kind]["refused"]),
                    ]
                    for found in self.crowds.values()
                    if "async" in found
                    for kind in ("async", "sync")
                ),
            ],
        )


def draw(bench: Bench) -> None:
    """The plot."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    colours = dict(zip(CLIENTS, ("#9a9a9a", "#c9a227", "#4f7cac", "#7a5c8e", "#c8452d"), strict=True))
    figure, ((rate, late), (start, memory)) = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for panel, name, title in ((rate, "rate", "requests a second"), (late, "p99", "p99 of a request, ms")):
        for client in CLIENTS:
            values = [_of(bench.throughput[client, tasks], name) for tasks in TASKS]
            panel.plot(TASKS, values, marker="o", color=colours[client], label=client, linewidth=2)
        panel.set(title=f"Asynchronous sends: {title}", xlabel="tasks", xscale="log", xticks=TASKS)
        panel.set_xticklabels([str(tasks) for tasks in TASKS])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    late.set_yscale("log")
    rate.legend(frameon=False)
    for panel, bars, title in (
        (start, {name: median(took) for name, took in bench.programs.items()}, "A program that sends one message, ms"),
        (
            memory,
            {name: median(held for _, held in bench.imports[name]) / 1024 for name in PROGRAMS},
            "Memory after an import, MB",
        ),
    ):
        drawn = panel.barh(list(bars), list(bars.values()), color=[colours[name] for name in bars])
        panel.bar_label(drawn, fmt="%.0f", padding=3)
        panel.set(title=title)
        panel.invert_yaxis()
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, dpi=110)


def write(bench: Bench) -> None:
    """The tables as a page."""
    parts = [
        "# Benchmarks",
        "Written by `make bench`, which measures all of this in one run; these machines are noisy, so it is the ratios "
        "that count. Loopback, medians of "
        f"{bench.rounds} rounds; {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
        + ", ".join(f"{name} {version(name)}" for name in ("featherhq", "httpx", "aiohttp", "httpx-aiohttp", "openai"))
        + ". “generated” is the generated client, bare; “openai” is that package's own client, sending the same "
        "request. None of it ran against the vendor's servers.",
        f"![Throughput and latency by tasks, time and memory of a program]({PLOT.name})",
    ]
    for title, (head, *rows) in bench.tables():
        lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    RESULTS.write_text("\n\n".join(parts) + "\n", "utf-8")


def show(bench: Bench) -> None:
    """The tables, for a terminal."""
    for title, rows in bench.tables():
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        print(f"\n{title}")
        for row in rows:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            print("  " + "   ".join(cells).replace("**", ""))


@contextmanager
def _server() -> Iterator[str]:
    line = [sys.executable, str(HERE / "server.py")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield process.stdout.readline().strip()
        process.communicate()


def _measure(*what: object, program: str = "measure.py") -> Found:
    found: Found = json.loads(python(sys.executable, str(HERE / program), *map(str, what), code=False))
    return found


def python(python: str, *arguments: str, code: bool = True) -> str:
    """What a program prints. One that fails ends the run, with what it said."""
    ran = subprocess.run([python, *(["-c"] if code else []), *arguments], capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(arguments)}\n{ran.stderr}")
    return ran.stdout


def _of(found: list[Found], name: str) -> float:
    return float(median(one[name] for one in found))


def _ratio(these: list[float], those: list[float]) -> float:
    """The median of the ratios of what was measured in the same round."""
    return median(this / that for this, that in zip(these, those, strict=True))


def _say(what: str) -> None:
    print(f"{what}…", file=sys.stderr, flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bare", help="a Python with this package, what it needs, and nothing else")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    bench = Bench(given.bare, given.rounds)
    bench.run()
    write(bench)
    draw(bench)
    show(bench)
    missed = [bar.measure for bar in bench.bars() if not bar.holds]
    print(f"\nMISSED: {'; '.join(missed)}" if missed else "\nAll bars hold.")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
