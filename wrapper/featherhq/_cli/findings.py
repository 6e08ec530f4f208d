"""What a check of `featherhq doctor` has found."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from featherhq._cli.exits import Exit


class State(Enum):
    """How it went."""

    OK = "ok"
    NOTE = "note"
    """It works, but should be known."""
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Finding(NamedTuple):
    """What a check has found.

    Attributes:
        check: What was checked.
        state: How it went.
        text: What was found.
        hint: What to do, or an empty string.
        status: The exit status that a problem gives.
    """

    check: str
    state: State
    text: str
    hint: str = ""
    status: Exit = Exit.DONE


def good(check: str, text: str) -> Finding:
    """A check without a problem."""
    return Finding(check, State.OK, text)


def bad(check: str, text: str, hint: str, status: Exit) -> Finding:
    """A problem."""
    return Finding(check, State.PROBLEM, text, hint, status)
