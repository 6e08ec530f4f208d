"""Pages with all shapes of OpenAPI are imported, generated and called, and each call gives what the page says.

The tools are judged as a user sees them: by their command lines, and by the package that they make.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from corpus import NEW_PAGES, OLD_PAGES, REFUSABLE
from corpus_packages import Outcome, Workshop, run, run_refusable
from corpus_report import FOREIGN, WRONG_ONES


def test_the_corpus(tmp_path: Path, sample: slice, capsys: pytest.CaptureFixture[str]) -> None:
    """Each page is imported and generated. No call raises a foreign exception, and no call gives a wrong value.

    A page that was written to be refusable may be refused: in one line with the file, the line and a remedy.
    """
    outcome = Outcome()
    old = OLD_PAGES[sample]
    # Two halves take less time than the whole, because each page is merged into a smaller contract.
    half = len(old) // 2
    with ThreadPoolExecutor(max_workers=2) as pool:
        first = pool.submit(run, old[:half], tmp_path / "first", is_new=False)
        second = pool.submit(run, old[half:], tmp_path / "second", is_new=False)
        new = pool.submit(run, NEW_PAGES[sample], tmp_path / "new", is_new=True)
        for part, _ in (first.result(), second.result(), new.result()):
            outcome.merge(part)
    together = first.result()[1] or Workshop.new(tmp_path / "bare", is_new=False)
    outcome.merge(run_refusable(REFUSABLE, tmp_path / "refusable", together))
    with capsys.disabled():
        print("", *table(outcome), *outcome.report.lines(), sep="\n")  # noqa: T201 - the report is for people
    assert set(outcome.refused) <= {page.name for page in REFUSABLE}
    assert not outcome.report.failures


def table(outcome: Outcome) -> list[str]:
    """What the run came to, in a few lines."""
    report = outcome.report
    rows = {
        "pages": outcome.pages,
        "imported": outcome.imported,
        "refused": len(outcome.refused),
        "operations": report.operations,
        "calls": report.calls,
        "arguments as text": report.texts,
        "foreign exceptions": report.count(FOREIGN),
        "wrong values": report.count(*WRONG_ONES),
        "other failures": len(report.failures)
        and sum(failure.count for failure in report.failures.values() if failure.kind not in {FOREIGN, *WRONG_ONES}),
    }
    refused = [f"refused: {page}: {why}" for page, why in outcome.refused.items()]
    return [*(f"{name:20}{value:8,}" for name, value in rows.items()), *refused]
