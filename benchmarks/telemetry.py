"""What telemetry adds to a call: without OpenTelemetry, with its API alone, and with its SDK.

    python benchmarks/telemetry.py [--rounds 9]

Each round is a process. It makes calls whose requests are answered in memory, first without OpenTelemetry, then after
an import of its API, then with the SDK, whose spans and metrics are collected and dropped. The medians are printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    from featherhq import Feather

THREAD_ID = "0b7e5f0a-3c1d-4f6e-8a2b-9d8c7b6a5f4e"
CALLS = 1500
STATES = ("without OpenTelemetry", "with its API alone", "with its SDK")


def microseconds(work: Any, times: int) -> float:
    """The median time of a piece of work."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return median(took) * 1e6


def measured() -> dict[str, float]:
    """The numbers of one round, in microseconds."""
    import httpx

    answer = json.dumps({"thread": {"id": THREAD_ID}}).encode()
    http_client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=answer)))
    thread = make(http_client).thread(THREAD_ID)
    microseconds(thread.refresh, CALLS // 3)
    numbers = {
        f"a client {STATES[0]}": microseconds(lambda: make(http_client), CALLS // 3),
        f"a call {STATES[0]}": microseconds(thread.refresh, CALLS),
        "modules of OpenTelemetry so far": sum("opentelemetry" in name for name in sys.modules),
    }

    from opentelemetry import metrics, trace

    began = time.perf_counter()
    thread.refresh()
    numbers["the first call after the import"] = (time.perf_counter() - began) * 1e6
    numbers[f"a client {STATES[1]}"] = microseconds(lambda: make(http_client), CALLS // 3)
    numbers[f"a call {STATES[1]}"] = microseconds(thread.refresh, CALLS)

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    microseconds(thread.refresh, CALLS // 3)
    numbers[f"a call {STATES[2]}"] = microseconds(thread.refresh, CALLS)
    http_client.close()
    return numbers


def make(http_client: httpx.Client) -> Feather:
    """A client that sends through another one."""
    from featherhq import Feather

    return Feather("key", base_url="http://feather.test", rate_limit=None, http_client=http_client)


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
        print(f"{name:40} {median(one[name] for one in rounds):9.1f}{'' if 'modules' in name else ' µs'}")
    for state in STATES[1:]:
        added = median(one[f"a call {state}"] - one[f"a call {STATES[0]}"] for one in rounds)
        print(f"{f'added to a call {state}':40} {added:9.1f} µs")


if __name__ == "__main__":
    main()
