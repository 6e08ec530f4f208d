"""Draw pages with Hypothesis, and print them as JSON. The program prints the same on every run.

Hypothesis also takes values from the source of all modules that are loaded. So this is a program of its own, which
always loads the same modules.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from corpus_page import Page
from corpus_shapes import pages
from hypothesis import HealthCheck, Phase, given, seed, settings

_OLD: Final = 14
_NEW: Final = 8


def _drawn(count: int, *, is_new: bool, first: int) -> Iterator[Page]:
    """Some pages that Hypothesis draws, with names of their own."""
    found: list[Page] = []

    # More are drawn than are needed: the first ones are very small.
    @seed(20260102 + is_new)
    @settings(
        max_examples=3 * count,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(pages(is_new=is_new))
    def draw(page: Page) -> None:
        found.append(page)

    draw()
    # Hypothesis also changes what it has drawn. Of pages that are alike, only the largest is taken.
    different = {_kind(page): page for page in sorted(found, key=lambda page: len(json.dumps(page.document)))}
    assert len(different) >= count
    for number, page in enumerate(reversed(list(different.values())[-count:]), first):
        text = json.dumps(page.document).replace("PXX", f"P{number:02}").replace("/pxx/", f"/p{number:02}/")
        yield Page(f"p{number:02}", json.loads(text))


def _kind(page: Page) -> tuple[tuple[str, ...], ...]:
    """What tells pages apart: the names of their components, and the keys of their operations."""
    operations = [one for item in page.document["paths"].values() for one in item.values()]
    named = sorted(page.document["components"].get("schemas", {}))
    return tuple(named), tuple(sorted({one for operation in operations for one in operation["responses"]}))


def main() -> None:
    drawn = [*_drawn(_OLD, is_new=False, first=1), *_drawn(_NEW, is_new=True, first=_OLD + 1)]
    print(json.dumps([[page.name, page.document] for page in drawn]))  # noqa: T201 - another process reads it


if __name__ == "__main__":
    main()
