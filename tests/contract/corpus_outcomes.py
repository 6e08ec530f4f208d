"""Judge what a call returned or raised, for each response that the server gave."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from attrs import frozen
from corpus_answers import Body, bodies
from corpus_hints import Hints
from corpus_judge import Classes, as_json, differences, fits, plain
from corpus_operations import Media, Operation
from corpus_report import ACCEPTED, BODY, FOREIGN, LOST_CLASS, REFUSED, SENT, TYPE, WRONG, Report, told
from featherhq import FeatherError, ResponseDecodeError

_TEXTS: Final = (b"text", "naïve 🎈\r\n2".encode(), b"", b'{"a": 1}', b"\x00\xff\xfe\r\n")
# The bodies that each function reads. All other bodies are read by one of the two functions of an operation.
_ALWAYS: Final = ("full", "minimal", "allowed nulls", "no body", "HTML")


@frozen
class Planned:
    """A response that the server gives.

    Attributes:
        status: Its status.
        media: The media type that the page describes, or `None` if there is no body.
        body: Its body.
        valid: Whether the body is right for the schema.
    """

    status: int
    media: Media | None
    body: Body
    valid: bool

    @property
    def always(self) -> bool:
        """Whether both functions of an operation get it."""
        return self.body.data is ... or (":" not in self.body.name and self.body.name.startswith(_ALWAYS))

    @property
    def served(self) -> str | None:
        """The media type that the server names."""
        if self.media is None:
            return None
        if self.media.name != "*/*":
            return self.media.full_name
        return "application/json" if self.media.is_json else "application/octet-stream"

    def admitted(self, accepted: str) -> bool:
        """Whether the request accepts it (RFC 9110 section 12.5.1)."""
        if self.served is None:
            return True
        mine = self.served.partition(";")[0].strip().lower()
        ranges = [one.partition(";")[0].strip().lower() for one in accepted.split(",")]
        return bool({mine, f"{mine.partition('/')[0]}/*", "*/*"} & set(ranges))


class Judge:
    """Judges what the calls of one operation give.

    Args:
        operation: The operation.
        promised: What the generated function promises to return.
        hints: Resolves annotations.
        report: Where it notes what is wrong.
    """

    def __init__(self, operation: Operation, promised: Any, hints: Hints, report: Report) -> None:
        self._operation = operation
        inner = typing.get_args(promised)
        self._promised = inner[0] if inner else Any
        self._hints = hints
        self._report = report
        self._classes = Classes(operation.schemas)

    def plan(self) -> list[Planned]:
        """All responses of the operation."""
        made = []
        for answer in self._operation.answers:
            made += [Planned(answer.status, media, *each) for media in answer.media for each in self._bodies(media)]
            if not answer.media:
                made.append(Planned(answer.status, None, Body("nothing", b""), valid=True))
        return made

    def _bodies(self, media: Media) -> Iterator[tuple[Body, bool]]:
        if media.is_json and media.schema is not None:
            for body in bodies(self._operation.schemas, media.schema):
                yield body, body.data is not ... and self._operation.schemas.valid(media.schema, body.data)
        else:
            for text in _TEXTS:
                yield Body(repr(text), text), media.schema is not None

    def unadmitted(self, planned: Planned, accepted: str) -> None:
        """Note that a response could not be given, unless the function asked for another that the page describes."""
        others = (
            Planned(answer.status, media, planned.body, valid=True)
            for answer in self._operation.answers
            for media in answer.media
        )
        if not any(other.status == planned.status and other.admitted(accepted) for other in others):
            self._report.add(SENT, self._operation, f"Accept is {accepted}, and the answer is {planned.served}")

    def judge(self, planned: Planned, outcome: Any) -> None:
        """Judge what a call returned or raised."""
        name = f"{planned.status} {planned.served} {planned.body.name}"
        if isinstance(outcome, FeatherError):
            self._judge_error(planned, outcome, name)
        elif isinstance(outcome, Exception):
            self._report.add(FOREIGN, self._operation, f"{told(outcome)} for {name}")
        elif planned.media is None:
            if outcome.parsed is not None:
                self._report.add(WRONG, self._operation, f"{name} became {outcome.parsed!r:.200}")
        elif planned.media.is_json and planned.media.schema is not None:
            self._judge_value(planned, outcome.parsed, name)
        elif planned.media.schema is not None and not _holds(outcome.parsed, planned.body.content):
            self._report.add(WRONG, self._operation, f"{name} became {outcome.parsed!r:.200}")

    def _judge_error(self, planned: Planned, error: FeatherError, name: str) -> None:
        shown = f"{type(error).__name__}: {error}"[:300]
        if not isinstance(error, ResponseDecodeError):
            self._report.add(WRONG, self._operation, f"{name}: {shown}")
        elif planned.valid:
            self._report.add(REFUSED, self._operation, f"{name}: {shown}")
        elif error.body not in _shown(planned.body.content):
            self._report.add(BODY, self._operation, f"{name}: {error.body!r:.200}")

    def _judge_value(self, planned: Planned, value: Any, name: str) -> None:
        body, schemas = planned.body, self._operation.schemas
        schema = planned.media.schema if planned.media else None
        if body.data is ...:
            self._report.add(ACCEPTED, self._operation, f"{name} became {value!r:.200}")
            return
        try:
            found = plain(value)
            wrong = list(differences(schemas, schema, body.data, found))
        except Exception as error:  # noqa: BLE001 - the generated `to_dict` may raise anything
            self._report.add(FOREIGN, self._operation, f"{told(error)} in to_dict() for {name}")
            return
        for one in wrong[:1]:
            self._report.add(WRONG, self._operation, f"{name}: {one}")
        if problem := as_json(value):
            self._report.add(WRONG, self._operation, f"{name}: to_dict() gives no JSON: {problem}")
        if planned.valid and not wrong:
            for one in list(fits(value, self._promised, self._hints))[:1]:
                self._report.add(TYPE, self._operation, f"{name}: {one}")
            self._classes.look(schema, body.data, value)

    def close(self) -> None:
        """Note which classes were wrong, after all calls."""
        for one in dict.fromkeys(self._classes.wrong):
            self._report.add(LOST_CLASS, self._operation, one)


def _shown(content: bytes) -> list[Any]:
    """What an error may show of a body: its JSON, or its text."""
    shown: list[Any] = [content.decode("utf-8", "replace")]
    with suppress(ValueError, RecursionError):
        shown.append(json.loads(content))
    return shown


def _holds(value: Any, content: bytes) -> bool:
    """Whether a value is the text or the bytes of a body."""
    if isinstance(value, str):
        return value == content.decode("utf-8", "replace")
    if hasattr(value, "payload"):
        value = value.payload
    if hasattr(value, "getvalue"):
        value = value.getvalue()
    return bool(value == content)
