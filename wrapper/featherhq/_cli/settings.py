"""Options that many commands have, and the client that they give."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from featherhq._cli.output import json_option
from featherhq._core.secrets import Secret
from featherhq._settings import DEFAULT_BASE_URL, DEFAULT_TIMEOUT
from featherhq._validation import key_problem
from featherhq.errors import ConfigurationError, FeatherError, UsageError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featherhq import Feather

KEY_VARIABLE: Final = "FEATHER_API_KEY"
AGENT_VARIABLE: Final = "FEATHER_AGENT_ID"
_CONNECTION: Final = "featherhq.connection"


class Connection(NamedTuple):
    """What the options say about the connection to Feather.

    Attributes:
        base_url: `--base-url`, or `None`.
        timeout: `--timeout`, in seconds.
        key_file: `--api-key-file`, or `None`.
    """

    base_url: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    key_file: str | None = None

    def api_key(self) -> Any:
        """The API key, from the file or the environment, for `Feather(api_key=…)`. Tracebacks do not show it.

        Raises:
            ConfigurationError: there is no key, or the file cannot be read, or it holds no valid key.
        """
        if self.key_file is None:
            key = Secret(os.environ[KEY_VARIABLE]) if KEY_VARIABLE in os.environ else None
            source = KEY_VARIABLE
        else:
            key, source = _read(self.key_file), f"--api-key-file {self.key_file}"
        if key is None:
            raise ConfigurationError(
                f"there is no API key: set {KEY_VARIABLE}, or give --api-key-file FILE",
                hint="Make a key in Feather's dashboard under Settings → API Keys. It is shown once.",
            )
        problem = key_problem(key.reveal())
        if problem is not None:
            raise ConfigurationError(
                f"{source}: expected an API key of visible ASCII characters, but this one {problem}",
                hint="Copy the key again from the dashboard (Settings → API Keys).",
            )
        return key

    def options(self) -> dict[str, Any]:
        """The keyword arguments of `Feather` and `AsyncFeather`, except the key."""
        return {"base_url": self.base_url, "timeout": self.timeout}

    @contextmanager
    def client(self, **options: Any) -> Iterator[Feather]:
        """A client for the length of a block.

        Args:
            options: More keyword arguments of `Feather`.

        Raises:
            FeatherError: the settings are invalid.
        """
        from featherhq import Feather

        with Feather(self.api_key(), **{**self.options(), **options}) as feather:
            yield feather


def connection(context: click.Context) -> Connection:
    """The connection of a command with the options of `connects`."""
    return Connection(**context.meta[_CONNECTION])


def connects(function: Any) -> Any:
    """Add the options of a command that talks to Feather."""

    def keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
        context.meta.setdefault(_CONNECTION, {})[parameter.name] = value

    def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
        return click.option(*names, expose_value=False, callback=keep, **settings)

    for add in (
        json_option,
        option(
            "--api-key-file",
            "key_file",
            metavar="FILE",
            help=f"A file with the API key. Default: ${KEY_VARIABLE}.",
        ),
        option(
            "--timeout",
            type=float,
            default=DEFAULT_TIMEOUT,
            show_default=True,
            metavar="SECONDS",
            help="What one call may take, with all its retries.",
        ),
        option(
            "--base-url", metavar="URL", help=f"Feather's URL. Default: $FEATHER_BASE_URL, then {DEFAULT_BASE_URL}."
        ),
    ):
        function = add(function)
    return function


def agent_option(function: Any) -> Any:
    """Add the option `--agent`."""
    about = f"The agent of a new thread. Default: ${AGENT_VARIABLE}."
    return click.option("--agent", envvar=AGENT_VARIABLE, metavar="ID", help=about)(function)


def needed_agent(agent: str | None) -> str:
    """The agent of a new thread.

    Raises:
        UsageError: no agent was given.
    """
    if agent is None:
        raise UsageError(
            f"there is no agent for the new thread: give --agent ID, or set {AGENT_VARIABLE}",
            hint="The agent's id is in Feather's dashboard.",
        )
    return agent


def _pair(text: str) -> tuple[str, str]:
    """The name and the value that a text holds."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise click.BadParameter(f"expected NAME=VALUE, not {one_line(repr(text))}")
    return name, value


def pairs_options(function: Any) -> Any:
    """Add the options `--metadata` and `--variable`."""
    for name, about in (
        ("variable", "A variable of the thread. Give it again for more."),
        ("metadata", "A piece of metadata of the thread. Give it again for more."),
    ):
        add = click.option(f"--{name}", type=_pair, multiple=True, metavar="NAME=VALUE", help=about)
        function = add(function)
    return function


def mapping(option: str, pairs: tuple[tuple[str, str], ...]) -> dict[str, str] | None:
    """The pairs of an option as a mapping; `None` if there are none.

    Raises:
        UsageError: a name was given twice.
    """
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{option}: {one_line(repr(twice))} was given twice", hint="Give each name once.")
    return dict(pairs) or None


def for_command_line(text: str) -> str:
    """A text of the library, with the names that the command line has for its arguments."""
    for name, option in _NAMES.items():
        text = text.replace(name, option)
    return text


_NAMES: Final = {
    ", or rate_limit= if your plan allows more requests per second": "",
    "timeout=": "--timeout",
    "base_url=": "--base-url",
    "base_url": "--base-url",
    "thread.refresh().details": "featherhq thread get",
    " (`retry_after`)": "",
    "`body` holds the body. ": "",
    "`request_id`": "the request id",
    "string that `bookmark` gives": "bookmark",
    "`body` holds what the server said.": "",
}


def is_about_message(error: FeatherError) -> bool:
    """Whether the error says what became of a message or of a new thread."""
    return error.method == "POST" or error.delivered is not None


def _read(path: str) -> Secret:
    try:
        return Secret(Path(path).read_text("utf-8").rstrip("\r\n"))
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
    raise ConfigurationError(
        f"--api-key-file {path}: {problem}", hint="Give a file that holds the API key and nothing else."
    )
