"""Edits of the contract, and what contract-diff must say of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from judge import Group

Document = dict[str, Any]

THREAD: Final = "/api/v1/threads/{threadId}"
SEND: Final = f"{THREAD}/messages"

BREAKING, NEW, PATCH = ("0.2.0", "2.0.0"), ("0.1.1", "1.1.0"), ("0.1.1", "1.0.1")
CALLERS, USERS, HARMLESS = Group


@frozen
class Edit:
    """An edit, and what contract-diff must say of it.

    Attributes:
        edit: Changes the whole document.
        group: The group that it affects.
        told: A text in a line of this group.
        versions: The versions that follow 0.1.0 and 1.0.0.
    """

    edit: Callable[[Document], None]
    group: Group
    told: str
    versions: tuple[str, str]

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self.edit.__name__.replace("_", " ")


def sent(document: Document) -> Any:
    """The body of a new message."""
    return document["paths"][SEND]["post"]["requestBody"]["content"]["application/json"]["schema"]


def answered(document: Document, path: str = SEND, method: str = "post") -> Any:
    """The body of the response to an operation."""
    return document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]


def parameter(document: Document, name: str) -> Any:
    """A parameter of the list of messages."""
    return next(one for one in document["paths"][SEND]["get"]["parameters"] if one["name"] == name)
