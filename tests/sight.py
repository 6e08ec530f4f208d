"""Texts that tools show for exceptions, objects and logs. The tests look for the API key in these texts."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

from featherhq.errors import FeatherError
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback
from sentry_sdk.serializer import serialize
from sentry_sdk.utils import event_from_exception

_TESTS: Final = f"{Path(__file__).parent}/"
# Longer than any text in which a test puts a key.
_LONG: Final = 100_000
_WITHOUT_LIMITS: Final[dict[str, Any]] = {
    "locals_max_length": _LONG,
    "locals_max_string": _LONG,
    "locals_hide_dunder": False,
}
# The number of characters to show on each side of a key.
_AROUND: Final = 200


def renderings(error: BaseException, *, code: bool = False) -> Iterator[str]:
    """Return each text that a tool could print for an exception and its related exceptions.

    The local variables of tests are left out, because a test may have the key.

    Args:
        error: The exception.
        code: Whether rich also prints the lines of code, which takes a long time.
    """
    without_tests(error)
    for one in chain(error):
        yield from parts(one)
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    yield from from_rich(error) if code else variables_from_rich(error)
    yield from from_sentry(error)


def from_rich(error: BaseException) -> Iterator[str]:
    """Return what rich prints for an exception, with its own limits and without limits."""
    own: dict[str, Any] = {}
    for limits in (own, _WITHOUT_LIMITS):
        console = Console(file=StringIO(), width=500)
        console.print(
            Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True, width=500, **limits)
        )
        yield console.file.getvalue()  # type: ignore[attr-defined]


def variables_from_rich(error: BaseException) -> Iterator[str]:
    """Return the local variables as rich prints them. The lines of code are left out, because they take a long time."""
    extracted = Traceback.extract(type(error), error, error.__traceback__, show_locals=True, **_WITHOUT_LIMITS)
    for frame in (frame for stack in extracted.stacks for frame in stack.frames):
        for name, value in (frame.locals or {}).items():
            yield f"{frame.name}: {name} = {value.render(max_width=_LONG)}"


def from_sentry(error: BaseException) -> Iterator[str]:
    """Return what Sentry receives for an exception, with its own limit and without a limit."""
    for longest in (1024, None):
        options = {"include_local_variables": True, "include_source_context": True, "max_value_length": longest}
        event, _ = event_from_exception(error, {**options, "custom_repr": None})
        yield json.dumps(serialize(dict(event), max_request_body_size="always"), ensure_ascii=False)


def parts(error: BaseException) -> Iterator[str]:
    """Return the text, the fields and the pickle of an exception, without its traceback."""
    yield f"{error!r} {error} {getattr(error, '__notes__', '')} {error.args} {vars(error)}"
    # `repr` may leave out a field or mask its value, so print all fields too.
    yield pretty(vars(error))
    with suppress(Exception):
        yield pickle.dumps(error).decode("latin-1")


def pretty(thing: object) -> str:
    """Return an object as rich prints it, with all its parts."""
    return pretty_repr(thing, max_width=_LONG)


def chain(error: BaseException) -> list[BaseException]:
    """Return an exception and all exceptions that a traceback prints with it."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and all(one is not other for other in found):
            found.append(one)
            todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return found


def without_tests(error: BaseException) -> None:
    """Remove the frames of tests from an exception and its related exceptions."""
    for one in chain(error):
        kept: TracebackType | None = None
        for frame, at, line in reversed(list(_steps(one))):
            if not frame.f_code.co_filename.startswith(_TESTS):
                kept = TracebackType(kept, frame, at, line)
        one.__traceback__ = kept


def _steps(error: BaseException) -> Iterator[tuple[FrameType, int, int]]:
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame, step.tb_lasti, step.tb_lineno
        step = step.tb_next


class Watch:
    """Look for a key in the errors of the package, the log lines and the output of one test.

    Args:
        key: The key.

    Attributes:
        found: The places where the key was found.
    """

    def __init__(self, key: str) -> None:
        self.found: list[str] = []
        self._key = key
        self._errors: list[FeatherError] = []

    def note(self, error: FeatherError) -> None:
        """Keep a new error, with its frames, until `judge` checks it."""
        self._errors.append(error)

    def judge(self) -> None:
        """Look for the key in all kept errors, and release them."""
        errors, self._errors = self._errors, []
        seen: set[int] = set()
        for number, error in enumerate(errors):
            without_tests(error)
            for one in chain(error):
                for told in (*parts(one), *self._variables(one, seen)):
                    self.look(f"an error ({type(one).__name__})", told)
            if not number:
                for told in (*variables_from_rich(error), *from_sentry(error)):
                    self.look("what rich or Sentry show", told)

    def look(self, where: str, told: str) -> None:
        """Look for the key in a text. If it is there, record the place, but not the key."""
        before, key, after = told.partition(self._key)
        if key:
            self.found.append(f"{where}: …{before[-_AROUND:]}<THE KEY>{after[:_AROUND].replace(key, '<THE KEY>')}…")

    def _variables(self, error: BaseException, seen: set[int]) -> Iterator[str]:
        """Return the local variables of an error's frames. Each frame is checked once, because many
        errors share frames.
        """
        for frame, *_ in _steps(error):
            if id(frame) not in seen:
                seen.add(id(frame))
                for name, value in frame.f_locals.items():
                    with suppress(Exception):
                        yield f"{frame.f_code.co_qualname}: {name} = {value!r}"


@contextmanager
def every_record(look: Callable[[str, str], None]) -> Iterator[None]:
    """Give each line of any logger, at any level, to a function. The levels still decide which lines are handled."""
    formatter = logging.Formatter("%(name)s %(message)s")
    enabled, handle = logging.Logger.isEnabledFor, logging.Logger.handle

    def is_enabled(logger: logging.Logger, level: int) -> bool:
        return logger.manager.disable < level

    def show(logger: logging.Logger, record: logging.LogRecord) -> None:
        look(f"the log of {record.name}", formatter.format(record))
        if enabled(logger, record.levelno):
            handle(logger, record)

    replaced: Any = logging.Logger
    replaced.isEnabledFor, replaced.handle = is_enabled, show
    try:
        yield
    finally:
        replaced.isEnabledFor, replaced.handle = enabled, handle
