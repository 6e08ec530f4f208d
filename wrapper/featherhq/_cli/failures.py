"""Reports why a command failed: one line that says what failed, and one that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from featherhq._cli.exits import Exit, exit_of
from featherhq._cli.output import PATH, one_json, shown_in_line
from featherhq._cli.settings import for_command_line, is_about_message
from featherhq.errors import (
    APIStatusError,
    DeliveryUnknownError,
    FeatherError,
    RateLimitError,
    ReplyTimeoutError,
    one_line,
)

if TYPE_CHECKING:
    from typing import Any


def report(command: str, error: BaseException, *, as_json: bool) -> int | None:
    """Print an error to standard error.

    Args:
        command: The command, such as "featherhq ask".
        error: The error.
        as_json: Whether to print a JSON object.

    Returns:
        The exit status; `None` if this is no error that a user can cause, so that nothing was printed.
    """
    found = _explain(error)
    if found is None:
        return None
    status, what, hint = found
    if as_json:
        click.echo(one_json(_data(error, status, what, hint)), err=True)
        return status
    click.echo(f"{command}: {what}", err=True)
    if hint:
        click.echo(hint, err=True)
    return status


def command_of(error: BaseException, context: click.Context) -> str:
    """The command that has failed, such as "featherhq ask".

    Args:
        error: The error. click's own errors know their command.
        context: The context of the whole program.
    """
    at = getattr(error, "ctx", None)
    return at.command_path if isinstance(at, click.Context) else str(context.meta.get(PATH, "featherhq"))


def lines_of(error: FeatherError) -> tuple[str, str]:
    """What failed, and what to do (perhaps nothing), each in one line."""
    notes: list[str] = getattr(error, "__notes__", [])
    hint = notes[0] if notes else ""
    if isinstance(error, RateLimitError):
        wait = "" if error.retry_after is None else f"Wait for {error.retry_after:g} s. "
        hint = f"{wait}Perhaps other programs use the same key: the limit is for all of them together."
    elif isinstance(error, DeliveryUnknownError):
        hint = f"Look for it before you send it again: featherhq messages {error.thread_id} --newest"
    elif isinstance(error, ReplyTimeoutError):
        hint = f"Do not send it again. The reply may still come: featherhq messages {error.thread_id} --newest"
    return shown_in_line(for_command_line(str(error))), shown_in_line(for_command_line(hint))


def _explain(error: BaseException) -> tuple[Exit, str, str] | None:
    """The exit status for an error, what failed, and what to do."""
    if isinstance(error, FeatherError):
        return exit_of(error), *lines_of(error)
    if isinstance(error, click.ClickException):
        return Exit.WRONG_USE, _sentence(error), _help_for(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        notes: list[str] = getattr(error, "__notes__", [])
        return Exit.INTERRUPTED, "interrupted", shown_in_line(notes[0]) if notes else ""
    if isinstance(error, ImportError) and error.name is not None and not error.name.startswith("featherhq"):
        hinted = "pip install" in str(error)
        text = str(error) if hinted else f"this command needs {error.name}: pip install 'featherhq[cli]'"
        return Exit.WRONG_USE, text, ""
    if isinstance(error, OSError):
        return Exit.FAILURE, one_line(str(error)), ""
    return None


def _sentence(error: click.ClickException) -> str:
    """What click says, in one line, in the style of the other errors."""
    text = one_line(error.format_message()).removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _help_for(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"See: {context.command_path} --help" if context is not None else ""


def _data(error: BaseException, status: Exit, what: str, hint: str) -> dict[str, Any]:
    """An error as JSON. Only what is known is in it."""
    data: dict[str, Any] = {"error": type(error).__name__, "message": what, "hint": hint or None, "exit_status": status}
    if isinstance(error, FeatherError) and is_about_message(error):
        data["delivered"] = error.delivered
    if isinstance(error, APIStatusError):
        data["status_code"], data["code"], data["request_id"] = error.status_code, error.code, error.request_id
    for name in ("retry_after", "thread_id", "message_id"):
        if getattr(error, name, None):
            data[name] = getattr(error, name)
    return data
