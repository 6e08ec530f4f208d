"""Import pages of the corpus into a copy of the contract, generate the package, and call all of it.

All pages of one version of OpenAPI go into one contract. If that fails, each page is tried alone, and then each
operation of a page that fails, so that the report names what cannot be handled. The others are then tried together.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from attrs import define, field, frozen
from corpus_page import NEW, Page
from corpus_report import MYPY, NO_CALL, NO_IMPORT, NO_PACKAGE, Report

ROOT: Final = Path(__file__).parent.parent.parent
# A refusal: one line with the file, the line of the file, and what is wrong.
_REFUSAL: Final = re.compile(r"error: [^:\n]+\.md:\d+: .+\nopenapi\.yaml is as it was\.\n")
# What a remedy begins with.
_REMEDIES: Final = [
    "add",
    "ask",
    "change",
    "choose",
    "copy",
    "correct",
    "delete",
    "describe",
    "drop",
    "give",
    "import",
    "let",
    "put",
    "remove",
    "rename",
    "replace",
    "see",
    "split",
    "use",
    "write",
]
_SHOWN: Final = 6000
# What the generator says with each of its warnings.
_ALWAYS_SAID: Final = (
    "Generating ",
    "Warning(s) enc",
    "If you believe",
    "error: openapi-python-client failed",
    "warning: ",
)


@define
class Outcome:
    """What came of the corpus, or of a part of it.

    Attributes:
        pages: How many pages were tried.
        imported: How many were imported and generated.
        refused: The pages that were written to be refusable, and why they were refused.
        report: What the calls found.
    """

    pages: int = 0
    imported: int = 0
    refused: dict[str, str] = field(factory=dict)
    report: Report = field(factory=Report)

    def problem(self, page: Page) -> str:
        """What the tools said against a page."""
        found = [one for one in self.report.failures.values() if one.operation == page.name]
        return "\n".join(example for one in found for example in one.examples).replace("\n", " \n")

    def merge(self, other: Outcome) -> None:
        """Add what another outcome has."""
        self.pages += other.pages
        self.imported += other.imported
        self.refused |= other.refused
        self.report.merge(other.report)


@frozen
class Workshop:
    """A folder with a contract, and the package that is generated from it.

    Attributes:
        folder: The folder.
    """

    folder: Path

    @classmethod
    def new(cls, folder: Path, *, is_new: bool, like: Workshop | None = None) -> Workshop:
        """A folder with the repository's contract, or with that of another workshop."""
        source = like.folder if like is not None else ROOT
        folder.mkdir(parents=True)
        shutil.copy2(source / "openapi.overlay.yaml", folder)
        text = (source / "openapi.yaml").read_text("utf-8")
        text = re.sub(r"^openapi: .*$", f"openapi: {NEW}", text, flags=re.MULTILINE) if is_new else text
        (folder / "openapi.yaml").write_text(text, "utf-8")
        return cls(folder)

    def _run(self, *line: str, packages: str = "", limit: int = 900) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "FEATHER"))}
        variables |= {"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1", "MYPYPATH": ""}
        return subprocess.run(
            [sys.executable, *line],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )

    def take(self, pages: Sequence[Page]) -> str:
        """Import pages. Returns what the tool said against it; nothing if it worked."""
        arguments = []
        (self.folder / "pages").mkdir(exist_ok=True)
        for number, page in enumerate(pages):
            path = self.folder / "pages" / f"{number}-{_file_name(page)}.md"
            path.write_text(page.text(), "utf-8")
            arguments += ["--page", str(path)]
        done = self._run(str(ROOT / "tools/contract.py"), "--root", str(self.folder), *arguments)
        return "" if done.returncode == 0 else done.stderr or "it failed without a word\n"

    def generate(self) -> str:
        """Generate the package. Returns what the tool said against it; nothing if it worked."""
        done = self._run(str(ROOT / "tools/generate.py"), "--root", str(self.folder))
        return "" if done.returncode == 0 else _gist(done.stderr) or "it failed without a word\n"

    def judge(self, pages: Sequence[Page], cache: Path, report: Report) -> None:
        """Check the types of the package, and call all functions of some pages."""
        with ThreadPoolExecutor() as pool:
            types = pool.submit(self._check_types, cache)
            report.merge(self.call(pages))
        for error in types.result():
            report.add(MYPY, error.partition(":")[0], error)

    def _check_types(self, cache: Path) -> Iterator[str]:
        """The errors that mypy finds in the package, with the settings that it has by itself.

        What stands in the repository's own package too does not come from a page.
        """
        settings = ["--config-file=", f"--cache-dir={cache}", "--no-error-summary"]
        done = self._run("-m", "mypy", *settings, "generated/featherhq_api")
        for error in done.stdout.splitlines() if done.returncode else ():
            name = error.partition(":")[0]
            ours = ROOT / name
            if not ours.is_file() or ours.read_bytes() != (self.folder / name).read_bytes():
                yield error

    def call(self, pages: Iterable[Page]) -> Report:
        """Call all functions of the package in a process of its own."""
        source, target = self.folder / "pages.json", self.folder / "report.json"
        source.write_text(json.dumps([{"name": page.name, "document": page.document} for page in pages]), "utf-8")
        packages = os.pathsep.join([str(ROOT / "wrapper"), str(self.folder / "generated")])
        script = str(Path(__file__).with_name("corpus_calls.py"))
        done = self._run("-W", "error", script, str(source), str(target), packages=packages)
        if done.returncode == 0:
            return Report.from_data(json.loads(target.read_text("utf-8")))
        report = Report()
        report.add(NO_CALL, ", ".join(page.name for page in pages), done.stderr[-_SHOWN:])
        return report


def run(pages: Sequence[Page], folder: Path, *, is_new: bool) -> tuple[Outcome, Workshop | None]:
    """Try pages of one version of OpenAPI. Returns what came of it, and the workshop with all pages if there is one."""
    outcome = Outcome(pages=len(pages), imported=len(pages))
    together = Workshop.new(folder / "together", is_new=is_new)
    problem = together.take(pages) or together.generate()
    if not problem:
        together.judge(pages, folder / "mypy", outcome.report)
        return outcome, together
    outcome.report.add(NO_PACKAGE, "all pages together", problem[:_SHOWN])
    good = _sieve(pages, folder / "alone", outcome, is_new=is_new)
    outcome.imported = len(good)
    # The generator names most operations that it cannot handle. The others of the page may work without them.
    lefts = [page.without(outcome.problem(page)) for page in pages if page not in good]
    good |= _sieve([left for left in lefts if left.document["paths"]], folder / "rests", outcome, is_new=is_new)
    parts = [part for left in lefts if left not in good for part in left.split()]
    good |= _sieve(parts, folder / "parts", outcome, is_new=is_new)
    rest = Workshop.new(folder / "rest", is_new=is_new)
    if problem := rest.take(list(good)) or rest.generate():
        outcome.report.add(NO_PACKAGE, "all pages that can be generated alone, together", problem[:_SHOWN])
        for page, workshop in good.items():
            workshop.judge([page], folder / "mypy", outcome.report)
    else:
        rest.judge(list(good), folder / "mypy", outcome.report)
    return outcome, None


def _sieve(pages: Sequence[Page], folder: Path, outcome: Outcome, *, is_new: bool) -> dict[Page, Workshop]:
    """Try each page in a contract of its own. Returns those that were generated."""

    def alone(numbered: tuple[int, Page]) -> tuple[str, str, Workshop]:
        number, page = numbered
        workshop = Workshop.new(folder / f"{number}-{_file_name(page)}", is_new=is_new)
        if problem := workshop.take([page]):
            return NO_IMPORT, problem[:_SHOWN], workshop
        return NO_PACKAGE, workshop.generate()[:_SHOWN], workshop

    good = {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for page, (kind, problem, workshop) in zip(pages, pool.map(alone, enumerate(pages)), strict=True):
            if problem:
                outcome.report.add(kind, page.name, problem)
            else:
                good[page] = workshop
    return good


def _gist(text: str) -> str:
    """The words of the generator without the schemas that it prints, and without what it says each time."""
    text = re.sub(r"^[{\[]\n(?:.*\n)*?^[}\]]$", "", text, flags=re.MULTILINE)
    # Before its error, it warns of operations that have no name.
    lines = (line.strip() for line in text[max(0, text.find("error: ")) :].splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(_ALWAYS_SAID))


def _file_name(page: Page) -> str:
    return re.sub(r"[^a-z0-9]+", "-", page.name.lower())


def run_refusable(pages: Sequence[Page], folder: Path, together: Workshop) -> Outcome:
    """Try pages that may be refused, each in a copy of the contract that has all others."""
    outcome = Outcome(pages=len(pages))
    for page in pages:
        workshop = Workshop.new(folder / page.name, is_new=False, like=together)
        refusal = workshop.take([page])
        if not refusal:
            if problem := workshop.generate():
                outcome.report.add(NO_PACKAGE, page.name, problem[:_SHOWN])
                continue
            outcome.imported += 1
            outcome.report.merge(workshop.call([page]))
        elif fault := refusal_fault(refusal):
            outcome.report.add(NO_IMPORT, page.name, f"{fault}: {refusal[:_SHOWN]}")
        else:
            outcome.refused[page.name] = refusal.splitlines()[0]
    return outcome


def refusal_fault(text: str) -> str:
    """What is wrong with a refusal, or nothing: it is one line with a file, a line and a remedy."""
    if not _REFUSAL.fullmatch(text):
        return "the refusal is not one line with the file and the line"
    words = set(re.findall(r"[a-z]+", text.lower()))
    return "" if words & set(_REMEDIES) else "the refusal has no remedy"
