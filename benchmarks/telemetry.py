"""What telemetry adds to a call: without OpenTelemetry, with its API alone, and with its SDK.

    python benchmarks/telemetry.py [--rounds 9]

Each round is a process. It makes calls whose requests are answered in memory, with two clients in turns: for one of
them, telemetry is switched off. It does so first without OpenTelemetry, then after an import of its API, then with the
SDK, whose spans and metrics are collected and dropped. The medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from featherhq import Feather

THREAD_ID = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
CALLS = 1500


def microseconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6


def client(http_client: httpx.Client, telemetry: str) -> Feather:
    """A client that sends through another one, and has telemetry or not."""
    from featherhq import Feather

    os.environ["FEATHER_TELEMETRY"] = telemetry
    return Feather("key", base_url="http://feather.test", rate_limit=None, http_client=http_client)


def measured() -> dict[str, float]:
    """The numbers of one round, in microseconds."""
    import httpx

    answer = json.dumps({"thread": {"id": THREAD_ID}}).encode()
    http_client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=answer)))
    off, on = (client(http_client, value).thread(THREAD_ID) for value in ("off", "on"))
    numbers: dict[str, float] = {}

    def compare(state: str) -> None:
        took = [(microseconds(off.refresh), microseconds(on.refresh)) for _ in range(CALLS)]
        plain, told = (median(times) for times in zip(*took[CALLS // 4 :], strict=True))
        numbers[f"a call {state}, switched off"] = plain
        numbers[f"added {state}"] = told - plain

    compare("without OpenTelemetry")
    numbers["modules of OpenTelemetry so far"] = sum("opentelemetry" in name for name in sys.modules)

    from opentelemetry import metrics, trace

    numbers["the first call after the import"] = microseconds(on.refresh)
    compare("with its API alone")

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    compare("with its SDK")
    http_client.close()
    return numbers


def main() -> None:
    """Run the rounds, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured()))
        return
    rounds = [
        json.loads(subprocess.run([sys.executable, __file__, "--one"], capture_output=True, check=True).stdout)
        for _ in range(given.rounds)
    ]
    for name in rounds[0]:
        unit = "" if "modules" in name else " µs"
        print(f"{name:45} {median(one[name] for one in rounds):9.1f}{unit}")


if __name__ == "__main__":
    main()
