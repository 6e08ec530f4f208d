"""The program: its commands, and what it does with their errors. Each command is in a module of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from featherhq._cli.exits import MEANINGS, Exit
from featherhq._cli.failures import command_of, report
from featherhq._cli.output import drop_streams, prepare_streams
from featherhq._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "featherhq"
COMPLETE: Final = "_FEATHERHQ_COMPLETE"
"""The environment variable by which a shell asks for completions."""

# In the order of the help. The module of a command is imported when the command is needed.
_COMMANDS: Final = {
    "chat": "chat",
    "ask": "messages",
    "send": "messages",
    "messages": "messages",
    "tail": "messages",
    "thread": "threads",
    "sandbox": "sandbox",
    "doctor": "doctor",
    "completion": "completion",
}


class Program(click.Group):
    """The commands by their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click calls it so
        """Their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """A command by its name."""
        from importlib import import_module

        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"featherhq._cli.{_COMMANDS[cmd_name]}_command")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The exit statuses and the environment."""
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), meaning) for status, meaning in MEANINGS.items()])
        with formatter.section("Environment"):
            formatter.write_dl(
                [
                    ("FEATHER_API_KEY", "the API key"),
                    ("FEATHER_AGENT_ID", "the agent of new threads"),
                    ("FEATHER_BASE_URL", "Feather's URL"),
                    ("FEATHER_LOG", "debug, info or warning: print a line for each request"),
                    ("NO_COLOR", "print no colors"),
                ]
            )


@click.group(NAME, cls=Program, no_args_is_help=False, invoke_without_command=True)
@click.version_option(__version__, message="featherhq %(version)s")
@click.pass_context
def program(context: click.Context) -> None:
    """Talk to a Feather agent.

    An independent client for Feather web chat, not made by Feather. To try it without a key and without a network:
    featherhq chat --sandbox
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(Exit.WRONG_USE)


def run(arguments: Sequence[str]) -> int:
    """Run the program, and report its errors.

    Args:
        arguments: The arguments without the program's name.

    Returns:
        The exit status.
    """
    prepare_streams()
    try:
        status = _run(list(arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_streams()
        return Exit.BROKEN_PIPE
    return status


def _run(arguments: list[str]) -> int:
    asked = os.environ.get(COMPLETE)
    if asked:
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, NAME, COMPLETE, asked)
    context = click.Context(program)
    as_json = "--json" in arguments
    try:
        context = program.make_context(NAME, arguments)
        with context:
            program.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:
        raise
    except BaseException as error:
        status = report(command_of(error, context), error, as_json=as_json)
        if status is None:
            raise
        return status
    return Exit.DONE
