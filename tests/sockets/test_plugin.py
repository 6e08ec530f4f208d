"""The pytest plugin: its fixtures, and the rule that tests connect to loopback addresses only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import AGENT_ID
from featherhq._http import guard
from featherhq.errors import FeatherError, UsageError

pytest_plugins = ["pytester"]

LOOPBACK = ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.255.0.9", "::1", "[::1]"]
ELSEWHERE = [
    "prod.featherhq.com",
    "10.0.0.1",
    "128.0.0.1",
    "::2",
    "localhost.example.com",
    "notlocalhost",
    "",
    "0.0.0.0",  # noqa: S104
]
CHECKS = """
    import pytest
    from featherhq._http import guard
    from featherhq.errors import UsageError

    def elsewhere():
        guard.check("prod.featherhq.com")
"""


@pytest.fixture
def switch() -> Iterator[None]:
    """Restores the switch after the test."""
    before = guard.switch.refuse_all_but_loopback
    yield
    guard.switch.refuse_all_but_loopback = before


@pytest.mark.usefixtures("switch")
@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_addresses_are_always_allowed(host: str) -> None:
    """By name or by number."""
    guard.forbid()
    guard.check(host)


@pytest.mark.usefixtures("switch")
@pytest.mark.parametrize("host", ELSEWHERE)
def test_other_addresses_are_an_error_while_forbidden(host: str) -> None:
    """The error names the host, and its note says what to do. Without the rule, there is no error."""
    guard.forbid()
    with pytest.raises(UsageError, match="a test tried to connect to") as caught:
        guard.check(host)
    assert isinstance(caught.value, FeatherError)
    assert f"connect to {host}, " in str(caught.value)
    (note,) = caught.value.__notes__
    for way in ("feather_sandbox", "respx", "pytest-httpx", "httpx.AsyncClient()", "@pytest.mark.feather_network"):
        assert way in note
    guard.allow()
    guard.check(host)


def test_all_addresses_are_allowed_outside_tests() -> None:
    """Even if the plugin was imported."""
    program = (
        "import featherhq.pytest_plugin as _\nfrom featherhq._http import guard\nguard.check('prod.featherhq.com')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_tests_connect_to_loopback_addresses_only(pytester: pytest.Pytester) -> None:
    """A mark of a test or class allows other addresses, for its fixtures too. It has no effect on the next test."""
    pytester.makepyfile(
        CHECKS
        + """
    @pytest.fixture
    def connecting():
        elsewhere()
        yield
        elsewhere()

    def test_forbidden():
        with pytest.raises(UsageError, match="prod.featherhq.com"):
            elsewhere()

    @pytest.mark.feather_network
    def test_allowed(connecting):
        elsewhere()

    def test_forbidden_again():
        guard.check("127.0.0.1")
        with pytest.raises(UsageError):
            elsewhere()

    def test_forbidden_in_fixtures(connecting):
        pass

    @pytest.mark.feather_network
    class TestAllowed:
        def test_too(self):
            elsewhere()

    @pytest.mark.feather_network
    def test_fails():
        assert False

    def test_forbidden_after_a_failure():
        with pytest.raises(UsageError):
            elsewhere()
    """
    )
    before = guard.switch.refuse_all_but_loopback
    ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio", "--strict-markers", "-W", "error")
    ran.assert_outcomes(passed=5, failed=1, errors=1)
    assert guard.switch.refuse_all_but_loopback is before


def test_a_project_may_allow_all_addresses(pytester: pytest.Pytester) -> None:
    """With an option in pytest's configuration. pytest knows the option."""
    pytester.makeini("[pytest]\nfeather_network = true\n")
    pytester.makepyfile(CHECKS + "\n    def test_allowed():\n        elsewhere()\n")
    pytester.runpytest_inprocess("-p", "no:asyncio", "--strict-config").assert_outcomes(passed=1)


def test_pytest_knows_the_marker(pytester: pytest.Pytester) -> None:
    """`pytest --markers` describes it."""
    pytester.runpytest_inprocess("-p", "no:asyncio", "--markers").stdout.fnmatch_lines(
        ["@pytest.mark.feather_network: *other machines*"]
    )


def test_an_async_client_that_is_not_entered(pytester: pytest.Pytester) -> None:
    """Its test fails, even if it catches errors, and the error says what to do. Other tests are not affected."""
    pytester.makepyfile(f"""
        import asyncio, gc
        import pytest

        def test_not_entered(async_feather):
            async def program():
                await async_feather.threads.create("{AGENT_ID}")
            with pytest.raises(Exception):
                asyncio.run(program())

        def test_the_next_one():
            gc.collect()

        def test_never_left(async_feather):
            async def program():
                feather = await async_feather.__aenter__()
                await feather.threads.create("{AGENT_ID}")
            asyncio.run(program())

        def test_the_one_after_that():
            gc.collect()

        def test_not_used(async_feather):
            assert repr(async_feather).startswith("<AsyncFeather for http://127.0.0.1:")
            assert not hasattr(async_feather, "nothing")

        def test_as_it_should_be(async_feather):
            async def program():
                async with async_feather as feather:
                    thread = await feather.with_options(timeout=9).threads.create("{AGENT_ID}")
                    assert (await thread.ask("hello")).text
            asyncio.run(program())
    """)
    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error")
    ran.assert_outcomes(passed=5, failed=1, errors=1)
    output = ran.stdout.str()
    assert "Failed: async_feather was used but not entered; use: async with async_feather:" in output
    assert "Failed: async_feather was entered but not closed; use: async with async_feather:" in output


def test_the_plugin_imports_little() -> None:
    """It is loaded in every run if the package is installed. So it imports no HTTP server and no HTTP client."""
    program = (
        "import sys\nimport featherhq.pytest_plugin as _\n"
        "heavy = {'httpx', 'aiohttp', 'starlette', 'uvicorn', 'jsonschema', 'featherhq_api'}\n"
        "print(*heavy & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
