"""How telemetry behaves in a program: when it is imported, how it is switched off, and what it does if it fails."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from typing import Any, get_args

import pytest
from conftest import AGENT_ID, THREAD_ID, count
from featherhq import Feather
from featherhq._core import events
from featherhq._core.calls import Call, as_call, calling
from featherhq._core.effects import Flow, Sleep
from featherhq._settings import Settings
from featherhq._telemetry import metrics, spans
from featherhq.sandbox import Sandbox
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from telemetry_helpers import Exported, attributes, names
from test_forks import in_child

pytest_plugins = ["telemetry_helpers"]
# Before the fixtures that make clients.
pytestmark = pytest.mark.usefixtures("exported")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "telemetry.md"
NAME = re.compile(r"""["`]((?:messaging|feather|http|url|error|server)\.[a-z_.]+)["`]""")
# Each event with some values, for the tests that make each of them.
EVENTS: list[Any] = [
    events.SlotAwaited("now", 2.0, taken=True),
    events.SlotAwaited("now", 0.0, taken=False),
    events.AttemptEnded("GET", "/a", "200", 0.1, 0, "done", 200, None),
    events.RetryPlanned("GET", "/a", "503", 0.5),
    events.KeyRefused("GET", "/a"),
    events.SearchStarted("secret"),
    events.SearchFailed("secret", lasting=True),
    events.MessageSentAgain("POST", "secret"),
    events.EarlierUnanswered("secret", 1),
    events.StreamOpened(renewed=True),
    events.StreamLost("secret", 0.5),
    events.StreamGivenUp("secret", 60.0),
    events.ScanFailed("secret"),
    events.CursorRefused(),
    events.OthersLeftOut("list", 1),
    events.MessagesDropped(256),
    events.LedgerFailed("secret"),
]


def settings(**environment: str) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Settings.read(
            "key", base_url="https://feather.test", timeout=5, max_retries=2, rate_limit=None, headers=None
        )


def program(sandbox: Sandbox, text: str, **environment: str) -> str:
    """What a program prints. It has a sandbox's URL and key in its environment."""
    variables = {"FEATHER_BASE_URL": sandbox.url, "FEATHER_API_KEY": sandbox.api_key, **environment}
    line = [sys.executable, "-W", "error", "-c", f"import sys\nfrom featherhq import Feather\n{text}"]
    ran = subprocess.run(line, env=os.environ | variables, capture_output=True, text=True, check=True)
    return ran.stdout + ran.stderr


def test_a_program_that_does_not_use_it_never_imports_it(sandbox: Sandbox) -> None:
    """A client, its calls and a fork import nothing of OpenTelemetry, although it is installed. No context is sent."""
    text = f"""
import os
with Feather() as feather:
    if hasattr(os, "fork") and (child := os.fork()) == 0:
        os._exit(0)
    feather.threads.create("{AGENT_ID}").ask("hello")
print([name for name in sys.modules if "opentelemetry" in name])
"""
    assert program(sandbox, text) == "[]\n"
    assert not any("traceparent" in request.headers for request in sandbox.requests)


def test_a_provider_may_be_set_late(sandbox: Sandbox) -> None:
    """A client that was made and used before the program has set up OpenTelemetry gives spans from then on."""
    text = f"""
feather = Feather()
thread = feather.threads.create("{AGENT_ID}")
from opentelemetry import trace
thread.refresh()
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")))
trace.set_tracer_provider(provider)
thread.send("hello")
feather.close()
"""
    assert program(sandbox, text) == "send threads/{thread_id}\n"
    assert ["traceparent" in request.headers for request in sandbox.requests] == [False, False, True]


def test_it_can_be_switched_off(exported: Exported) -> None:
    """With FEATHER_TELEMETRY=off, nothing is told. Any other value than "on" and "off" is a warning."""
    for value, number in (("off", 0), ("OFF", 0), ("", 1), ("on", 1)):
        exported.start()
        with calling(settings(FEATHER_TELEMETRY=value), Call("get")):
            pass
        assert len(exported.ours) == number
    with pytest.warns(UserWarning, match="FEATHER_TELEMETRY: expected on or off, got 'maybe'"):
        settings(FEATHER_TELEMETRY="maybe")


def test_each_event_is_in_the_span_without_its_texts(exported: Exported) -> None:
    """Every event that is no part of a span's life becomes an event of the span. Its texts are left out."""
    kinds = {type(event) for event in EVENTS}
    assert kinds == set(get_args(events.Event)) - set(spans._NOT_EVENTS)
    using = settings()
    with calling(using, Call("get", THREAD_ID)):
        for event in (*EVENTS, events.SlotAwaited("now", 0.0, taken=True)):
            using.listen(event)
    assert names(exported.span("get")) == [spans.event_name(type(event)).removeprefix("feather.") for event in EVENTS]
    assert "secret" not in exported.everything()


def test_the_page_names_all_that_is_exported() -> None:
    """The tables of `docs/telemetry.md` have each call, event, attribute and metric of the code, and no other."""
    page = PAGE.read_text("utf-8")
    rows = [line.split("|")[1].strip(" `") for line in page.splitlines() if line.startswith("| `")]
    code = "".join(path.read_text("utf-8") for path in (ROOT / "wrapper/featherhq").rglob("*.py"))
    calls = {f"{name} " for name in re.findall(r'\bCall\("([a-z_]+)"', code)}
    told = {spans.event_name(type(event)) for event in EVENTS}
    measured = {*metrics.HISTOGRAMS, *metrics.COUNTERS, metrics.CONVERSATIONS}
    folder = ROOT / "wrapper/featherhq/_telemetry"
    named = {name for path in folder.glob("*.py") for name in NAME.findall(path.read_text("utf-8"))}
    expected = told | measured | named
    assert {row for row in rows if NAME.fullmatch(f"`{row}`")} == expected
    assert {f"{row.partition(' ')[0]} " for row in rows if not NAME.fullmatch(f"`{row}`")} - {
        "FEATHER_TELEMETRY "
    } == calls


def test_a_flow_that_was_abandoned_leaves_the_context_of_others_alone(
    exported: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    """If a call is given up, the context is as before, also if its flow is closed in another context."""

    def waiting() -> Flow[None]:
        yield from Sleep(1)

    before = trace.get_current_span()
    for begin in (next, lambda flow: copy_context().run(next, flow)):
        flow = as_call(settings(), Call("get"), waiting())
        begin(flow)
        flow.close()
        assert trace.get_current_span() is before
    assert [attributes(span)["error.type"] for span in exported.ours] == ["GeneratorExit"] * 2
    assert caplog.records == []


class Hook(SpanProcessor):
    """A processor of the program that does something when a span begins and ends."""

    def __init__(self) -> None:
        self.act: Callable[[], object] = lambda: None

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        self.act()

    def on_end(self, span: ReadableSpan) -> None:  # noqa: ARG002
        self.act()


@pytest.fixture(scope="module")
def installed_hook() -> Hook:
    """A hook in the process's provider."""
    made = Hook()
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.add_span_processor(made)
    return made


@pytest.fixture
def hook(exported: Exported, installed_hook: Hook) -> Iterator[Hook]:  # noqa: ARG001 - it installs the provider
    """A hook that does nothing until a test says so."""
    yield installed_hook
    installed_hook.act = lambda: None


def test_a_processor_that_fails_changes_no_outcome(
    thread: Any, sandbox: Sandbox, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """If a processor of the program raises, the call goes on and returns its result. One warning says so."""

    def fail() -> None:
        raise ValueError("secret")

    hook.act = fail
    assert thread.send("hello").message_id
    assert thread.ask("hello").text == "echo: hello"
    assert count(sandbox, "sendMessage") == 2
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warned == ["telemetry failed (ValueError); calls go on without it"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such signals")
def test_an_exception_of_a_signal_is_not_taken_for_a_failure(sandbox: Sandbox, hook: Hook) -> None:
    """If a signal handler raises while a processor of the program runs, its exception ends the call."""

    class TimeLimitError(Exception):
        """The time limit of a task queue."""

    def ring(*_: object) -> None:
        raise TimeLimitError

    def wait() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        time.sleep(2)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with Feather(sandbox.api_key, base_url=sandbox.url) as feather:
            hook.act = wait
            with pytest.raises(TimeLimitError):
                feather.threads.create(AGENT_ID)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sandbox.requests == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_counts_no_conversation_of_its_parent(sandbox: Sandbox, exported: Exported) -> None:
    """The conversations of the parent go on in the parent, and are counted there alone."""

    def count_open() -> int:
        gc.collect()
        return sum(one.open[1] for one in list(metrics._all))

    with Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        with feather.threads.create(AGENT_ID).conversation():
            assert count_open() == 1
            assert in_child(count_open) == 0
        assert count_open() == 0
    assert exported.spans("conversation")
