"""The fixture `async_feather` in real runs of pytest, with pytest-asyncio, with anyio, and without both."""

from __future__ import annotations

import pytest
from conftest import AGENT_ID
from featherhq import _pytest_asyncio

pytest_plugins = ["pytester"]

# Plugins that only take time here.
LIGHT = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:xdist")
# pytest-asyncio warns about an option that is not set. In the runs here, each other warning is an error.
ARGUMENTS = (*LIGHT, "-W", "error", "-W", "ignore:The configuration option:pytest.PytestWarning")
HEAD = f"""
    import asyncio, gc
    import pytest
    from featherhq import AsyncFeather, UsageError

    AGENT_ID = "{AGENT_ID}"

    async def talk(feather):
        assert type(feather) is AsyncFeather
        thread = await feather.threads.create(AGENT_ID)
        assert (await thread.ask("hello")).text

"""

WITH_ASYNCIO = """
    import pytest_asyncio

    clients = []

    @pytest_asyncio.fixture
    async def thread(async_feather):
        made = await async_feather.threads.create(AGENT_ID)
        yield made
        await made.close("The fixture ends before the client is closed.")

    MARK
    async def test_plain(async_feather):
        await talk(async_feather)
        clients.append(async_feather)

    MARK
    async def test_closed():
        with pytest.raises(UsageError, match="another event loop|is closed"):
            await clients[0].threads.create(AGENT_ID)

    MARK
    async def test_with_a_fixture(thread, async_feather, feather_sandbox):
        assert (await thread.ask("hello")).text
        assert feather_sandbox.threads == [thread.id]

    MARK
    async def test_an_open_conversation(thread):
        chat = await thread.conversation().__aenter__()
        await chat.send("hello")
        assert (await anext(aiter(chat))).text

    MARK
    async def test_that_enters(async_feather):
        async with async_feather as feather:
            await talk(feather)
        with pytest.raises(UsageError, match="this client is closed"):
            await feather.threads.create(AGENT_ID)

    MARK
    @pytest.mark.feather_sandbox(agent=lambda text, history: text.upper())
    async def test_with_the_marker(async_feather):
        assert (await (await async_feather.threads.create(AGENT_ID)).ask("hello")).text == "HELLO"

    def test_nothing_is_left_open():
        gc.collect()
    """


def run(pytester: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Run tests in this process, so that the coverage of the plugin is measured."""
    pytester.makepyfile(HEAD + source)
    return pytester.runpytest_inprocess(*ARGUMENTS, *arguments)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio(pytester: pytest.Pytester, mode: str) -> None:
    """In both modes, the client is entered and closed for the test, in its event loop, for fixtures too.

    A conversation that the test leaves open is closed. Tests that enter the client go on to work.
    """
    mark = "@pytest.mark.asyncio" if mode == "strict" else ""
    run(pytester, WITH_ASYNCIO.replace("MARK", mark), "--asyncio-mode", mode).assert_outcomes(passed=7)


def test_loop_scopes(pytester: pytest.Pytester) -> None:
    """The client belongs to the event loop of its test, also if tests share a loop, by a marker or by an option."""
    pytester.makeini("[pytest]\nasyncio_default_test_loop_scope = class\n")
    source = """
    async def used(feather, loops=[]):
        await talk(feather)
        loops.append(asyncio.get_running_loop())
        return loops

    class TestByOption:
        @pytest.mark.asyncio
        async def test_1(self, async_feather):
            await used(async_feather)

        @pytest.mark.asyncio
        async def test_2(self, async_feather):
            loops = await used(async_feather)
            assert loops[-1] is loops[-2]

    @pytest.mark.asyncio(loop_scope="function")
    async def test_function(async_feather):
        await used(async_feather)

    @pytest.mark.asyncio(loop_scope="module")
    async def test_module_1(async_feather):
        await used(async_feather)

    @pytest.mark.asyncio(loop_scope="module")
    async def test_module_2(async_feather):
        loops = await used(async_feather)
        assert loops[-1] is loops[-2] is not loops[-3]

    @pytest.mark.asyncio(loop_scope="session")
    async def test_session(async_feather):
        await used(async_feather)

    def test_nothing_is_left_open():
        gc.collect()
    """
    run(pytester, source).assert_outcomes(passed=7)


def test_anyio(pytester: pytest.Pytester) -> None:
    """With asyncio, as for pytest-asyncio. Under trio, the error says what to do."""
    source = """
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def thread(async_feather):
        made = await async_feather.threads.create(AGENT_ID)
        yield made
        await made.close("The fixture ends before the client is closed.")

    async def test_plain(async_feather):
        await talk(async_feather)

    async def test_with_a_fixture(thread):
        assert (await thread.ask("hello")).text

    class TestAsyncioAlone:
        @pytest.fixture
        def anyio_backend(self):
            return ("asyncio", {"debug": True})

        async def test_that_enters(self, async_feather):
            async with async_feather as feather:
                await talk(feather)

        def test_nothing_is_left_open(self):
            gc.collect()
    """
    ran = run(pytester, source)
    ran.assert_outcomes(passed=4, errors=2)
    problem = (
        "async_feather needs asyncio, and this test runs under trio. Put this into the test's module or conftest.py: "
    )
    advice = "@pytest.fixture def anyio_backend(): return 'asyncio'"
    ran.stdout.fnmatch_lines(["*ERROR at setup of test_plain?trio?*", problem + advice])


def test_without_a_plugin(pytester: pytest.Pytester) -> None:
    """A test that no plugin runs fails with a hint. A synchronous test must enter the client, as ever."""
    source = """
    async def test_that_nobody_runs(async_feather):
        await talk(async_feather)

    def test_synchronous(async_feather):
        async def program():
            async with async_feather as feather:
                assert (await (await feather.threads.create(AGENT_ID)).ask("hello")).text
        asyncio.run(program())

    def test_not_entered(async_feather):
        asyncio.run(talk(async_feather))
    """
    ran = run(pytester, source)
    ran.assert_outcomes(passed=1, failed=2)
    hint = (
        "With pytest-asyncio 0.24 or newer, mark the test with @pytest.mark.asyncio, or set asyncio_mode = auto. With "
    )
    ran.stdout.fnmatch_lines(["*Captured async_feather setup*", f"{hint}*"])
    run(pytester, source, "-p", "no:asyncio", "-p", "no:anyio").assert_outcomes(passed=1, failed=2)


def test_an_older_pytest_asyncio(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tests have no fixture in their event loop, so they must enter the client."""
    monkeypatch.setattr(_pytest_asyncio, "_SCOPES", ())
    assert _pytest_asyncio.fixture_for(request.node) is None
