"""What the calls of the corpus found: failures by their kind, and counts."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import define, field

_EXAMPLES: Final = 3

FOREIGN: Final = "foreign exception"
WRONG: Final = "wrong value"
LOST_CLASS: Final = "wrong class"
TYPE: Final = "wrong type"
REFUSED: Final = "valid body refused"
BODY: Final = "error without the body"
ACCEPTED: Final = "no JSON accepted"
SENT: Final = "wrong request"
SECURITY: Final = "wrong security"
NO_FUNCTION: Final = "no function"
NO_ARGUMENT: Final = "no argument"
NO_IMPORT: Final = "refused at import"
NO_PACKAGE: Final = "not generated"
NO_CALL: Final = "calls ended"
MYPY: Final = "mypy"
WRONG_ONES: Final = (WRONG, LOST_CLASS, TYPE, REFUSED, BODY, ACCEPTED, SENT, SECURITY)


@define
class Failure:
    """A kind of failure at one operation.

    Attributes:
        kind: Its kind.
        operation: The operation, or the page.
        examples: What was seen, a few times.
        count: How often it was seen.
    """

    kind: str
    operation: str
    examples: list[str] = field(factory=list)
    count: int = 0


@define
class Report:
    """What the calls found.

    Attributes:
        operations: How many operations were called.
        calls: How many calls were made.
        texts: How many arguments were written as text, because the generated type is text.
        failures: The failures.
        seconds: How long the calls of each operation took.
    """

    operations: int = 0
    calls: int = 0
    texts: int = 0
    failures: dict[str, Failure] = field(factory=dict)
    seconds: dict[str, float] = field(factory=dict)

    def add(self, kind: str, operation: object, told: str) -> None:
        """Note a failure."""
        known = self.failures.setdefault(f"{kind} {operation}", Failure(kind, str(operation)))
        known.count += 1
        if len(known.examples) < _EXAMPLES and told not in known.examples:
            known.examples.append(told)

    def merge(self, other: Report) -> None:
        """Add what another report has."""
        self.operations += other.operations
        self.calls += other.calls
        self.texts += other.texts
        self.seconds |= other.seconds
        for key, failure in other.failures.items():
            known = self.failures.setdefault(key, Failure(failure.kind, failure.operation))
            known.count += failure.count
            known.examples += failure.examples[: _EXAMPLES - len(known.examples)]

    def count(self, *kinds: str) -> int:
        """How often failures of these kinds were seen."""
        return sum(failure.count for failure in self.failures.values() if failure.kind in kinds)

    def lines(self) -> Iterator[str]:
        """The failures by kind, as text."""
        for kind in dict.fromkeys(failure.kind for failure in self.failures.values()):
            found = [failure for failure in self.failures.values() if failure.kind == kind]
            yield f"{kind}: {sum(failure.count for failure in found)}, at {len(found)} places"
            for failure in sorted(found, key=lambda one: one.operation):
                yield f"  {failure.operation} ({failure.count})"
                for example in failure.examples:
                    yield from (f"    {line}" for line in example.splitlines())

    def data(self) -> dict[str, Any]:
        """The report as JSON data."""
        return attrs.asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Report:
        """The report in JSON data."""
        failures = {key: Failure(**failure) for key, failure in data["failures"].items()}
        return cls(data["operations"], data["calls"], data["texts"], failures, data["seconds"])


def told(error: BaseException) -> str:
    """An exception in one line, with the place in our code or in generated code where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if "featherhq" in one.filename] or frames
    place = f" in {Path(ours[-1].filename).name}:{ours[-1].name}" if ours else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}{place}"
