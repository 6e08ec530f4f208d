"""The fixtures `feather_sandbox`, `feather` and `feather_environment`, in real runs of pytest."""

from __future__ import annotations

import json

import pytest
from conftest import AGENT_ID
from test_plugin_async import ARGUMENTS, LIGHT

pytest_plugins = ["pytester"]

HEAD = f"""
    import os
    import pytest
    from featherhq import Feather
    from featherhq.sandbox import CutAfter, Sandbox, Status

    AGENT_ID = "{AGENT_ID}"
"""


def run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(HEAD + source)
    return pytester.runpytest_inprocess(*ARGUMENTS, *arguments)


def test_a_program_that_reads_the_environment(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """`feather_environment` sets both variables for the test alone, and is the sandbox."""
    monkeypatch.setenv("FEATHER_API_KEY", "the real one")
    monkeypatch.delenv("FEATHER_BASE_URL", raising=False)
    source = """
    def program():
        with Feather() as feather:
            return feather.threads.create(AGENT_ID).ask("Where is my order?").text

    def test_it(feather_environment, feather_sandbox):
        assert feather_environment is feather_sandbox
        feather_environment.inject("sendMessage", CutAfter())
        assert program() == "Order 1042 left our warehouse this morning."
        assert feather_environment.sent() == ["Where is my order?"]

    def test_afterwards():
        assert os.environ["FEATHER_API_KEY"] == "the real one"
        assert "FEATHER_BASE_URL" not in os.environ
    """
    run(pytester, source).assert_outcomes(passed=2)


def test_the_marker_gives_arguments(pytester: pytest.Pytester) -> None:
    """To the sandbox of a module, a class or a test. The closest one goes first. Without it, there is no rate limit."""
    source = """
    pytestmark = pytest.mark.feather_sandbox(agent=lambda text, history: "module")

    def reply(feather):
        return feather.threads.create(AGENT_ID).ask("x").text

    def test_module(feather, feather_sandbox):
        assert reply(feather) == "module"
        for number in range(30):
            feather.thread(feather_sandbox.threads[0]).refresh()
        assert {request.status for request in feather_sandbox.requests} == {200}

    @pytest.mark.feather_sandbox(agent=lambda text, history: "class", api_key="another-key")
    class TestClass:
        def test_class(self, feather, feather_sandbox):
            assert (reply(feather), feather_sandbox.api_key) == ("class", "another-key")

        @pytest.mark.feather_sandbox(agent=lambda text, history: ["test"], rate_limit=10)
        def test_test(self, feather, feather_sandbox):
            assert (reply(feather), feather_sandbox.api_key) == ("test", "another-key")
            for number in range(20):
                feather.thread(feather_sandbox.threads[0]).refresh()
            assert 429 in {request.status for request in feather_sandbox.requests}

    @pytest.mark.feather_sandbox(agnet=len)
    def test_misspelt(feather_sandbox): ...

    @pytest.mark.feather_sandbox(10, rate_limit=10)
    def test_without_a_name(feather_sandbox): ...
    """
    ran = run(pytester, source, "--strict-markers")
    ran.assert_outcomes(passed=3, errors=2)
    ran.stdout.fnmatch_lines(
        [
            "E *unexpected keyword argument 'agnet'*",
            "E *@pytest.mark.feather_sandbox: give the arguments of Sandbox by name, such as rate_limit=10",
        ]
    )
    run(pytester, "", "--markers").stdout.fnmatch_lines(["@pytest.mark.feather_sandbox(agent=…, rate_limit=…): *"])


def test_the_report_of_a_failed_test(pytester: pytest.Pytester) -> None:
    """It shows the requests with their faults, and the messages. So a plain `assert` says what was sent and why."""
    source = """
    def test_it(feather, feather_sandbox):
        thread = feather.threads.create(AGENT_ID)
        feather_sandbox.inject("sendMessage", Status(503, {"Retry-After": "0"}))
        feather_sandbox.inject("sendMessage", CutAfter())
        thread.send("Pay 100")
        feather_sandbox.wait_for_replies(1)
        assert feather_sandbox.sent() == ["Pay 100", "Pay 200"]

    def test_that_passes(feather):
        feather.threads.create(AGENT_ID)

    def test_without_messages(feather_sandbox):
        assert feather_sandbox.sent() == ["Pay 100"]

    def test_without_a_sandbox():
        assert False
    """
    ran = run(pytester, source)
    ran.assert_outcomes(passed=1, failed=3)
    ran.stdout.fnmatch_lines(
        [
            "E  *assert ?'Pay 100'? == ?'Pay 100', 'Pay 200'?",
            "*-- feather_sandbox --*",
            "requests: 4",
            "    0.000 s  POST /api/v1/threads/web (createThread): 200",
            "    ?.??? s  POST /api/v1/threads/*/messages (sendMessage): 503, fault Status(code=503, headers=*",
            "    ?.??? s  POST /api/v1/threads/*/messages (sendMessage): no response, fault CutAfter()",
            "    ?.??? s  GET /api/v1/threads/*/messages (listMessages): 200",
            "messages of thread *: 2",
            "  user   'Pay 100'",
            "  agent  'You said: Pay 100'",
            "*-- feather_sandbox --*",
            "requests: 0",
        ]
    )
    assert ran.stdout.str().count("-- feather_sandbox --") == 2


def test_long_reports_are_cut(pytester: pytest.Pytester) -> None:
    """The last requests, threads and messages are shown. A request may be outside of the contract."""
    source = """
    import httpx

    def test_it(feather_sandbox, feather):
        threads = [feather.threads.create(AGENT_ID) for _ in range(8)]
        for number in range(30):
            feather_sandbox.say(threads[-1].id, f"number {number} " + "x" * 1000)
        for _ in range(30):
            threads[0].refresh()
        httpx.get(f"{feather_sandbox.url}/nothing")
        assert False
    """
    ran = run(pytester, source)
    ran.stdout.fnmatch_lines(["requests: 39", "  …", "  *GET /nothing (not in the contract): 404", "messages of *: 0"])
    ran.stdout.fnmatch_lines(["messages of thread *: 30", "  …", "  agent  'number 10 x*…", "older threads: 3"])
    assert "createThread" not in ran.stdout.str()
    assert "number 9 " not in ran.stdout.str()


def test_errors_of_functions_that_answer(pytester: pytest.Pytester) -> None:
    """The test has an error, even if its program has caught that of the client."""
    source = """
    from featherhq import FeatherError

    def test_it(feather, feather_sandbox):
        def check(request):
            assert request.query == {"limit": "8"}

        feather_sandbox.answer("getThread", check)
        with pytest.raises(FeatherError, match="The function that answers getThread failed: AssertionError"):
            feather.with_options(max_retries=0).threads.get(AGENT_ID)
    """
    ran = run(pytester, source)
    ran.assert_outcomes(passed=1, errors=1)
    ran.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_it*",
            "E *assert {} == {'limit': '8'}",
            "E *A function that was given to Sandbox.answer raised this. Its request got a 500.",
            "*GET /api/v1/threads/* (getThread): 500",
        ]
    )


def test_a_fixture_that_a_project_replaces(pytester: pytest.Pytester) -> None:
    """`feather` and `feather_environment` use the project's own `feather_sandbox`. It may be anything with a URL."""
    source = """
    @pytest.fixture
    def feather_sandbox():
        class Server:
            url, api_key = "http://127.0.0.1:9", "k"
        return Server()

    def test_it(feather, feather_environment):
        assert feather_environment.url in repr(feather)
        assert False
    """
    ran = run(pytester, source)
    ran.assert_outcomes(failed=1)
    assert "requests: " not in ran.stdout.str()


def test_nothing_heavy_is_imported_until_a_fixture_is_used(pytester: pytest.Pytester) -> None:
    """A run with the plugin, pytest-asyncio and anyio imports no HTTP library, no server and no client of ours."""
    pytester.makeconftest("""
        import json, sys

        def pytest_runtest_logreport(report):
            heavy = {"httpx", "httpcore", "aiohttp", "starlette", "uvicorn", "jsonschema", "featherhq_api"}
            heavy |= {"featherhq.sandbox", "featherhq._sync", "featherhq._async"}
            if report.when == "call":
                print("\\n" + json.dumps(sorted(heavy & set(sys.modules))))
    """)
    pytester.makepyfile("""
        import pytest

        def test_1(): ...

        @pytest.mark.asyncio
        async def test_2(): ...

        def test_3(feather_sandbox): ...
    """)
    ran = pytester.runpytest_subprocess(*LIGHT, "-s", "-q")
    ran.assert_outcomes(passed=3)
    first, second, third = (json.loads(line) for line in ran.stdout.lines if line.startswith("["))
    assert (first, second) == ([], [])
    assert {"featherhq.sandbox", "starlette", "uvicorn"} <= set(third)


def test_runs_in_several_processes(pytester: pytest.Pytester) -> None:
    """pytest-xdist: each test has a sandbox of its own, on a port of its own."""
    pytester.makepyfile(
        HEAD
        + """
    @pytest.mark.parametrize("number", range(8))
    def test_it(number, feather, feather_environment):
        for text in "ab":
            with Feather() as program:
                assert program.threads.create(AGENT_ID).ask(f"{number}{text}").text == f"You said: {number}{text}"
        assert feather_environment.sent() == [f"{number}a", f"{number}b"]
    """
    )
    light = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:asyncio")
    ran = pytester.runpytest_subprocess(*light, "-n", "2", "-W", "error")
    ran.assert_outcomes(passed=8)
