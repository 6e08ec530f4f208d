"""A page of the vendor's reference, and a contract that the tests import it into."""

from __future__ import annotations

from pathlib import Path

import contract as tool
import pytest

ROOT = Path(__file__).parent.parent.parent
PATH = "/api/v1/threads/{threadId}/participants"
PAGE = (ROOT / "docs/participants.md").read_text("utf-8")
FRAGMENT = PAGE.partition("````yaml")[2].partition("\n")[2].partition("\n````")[0]
FIRST = PAGE[: PAGE.index(FRAGMENT)].count("\n") + 1  # the line of the page where its fragment begins
# The contract before each import: the page's operation and another one, with comments that must stay.
OTHER = """  /api/v1/threads/web:
    # Sure: the request.
    post:
      summary: Create a web chat thread
      responses:
        '200':
          description: The thread that was opened
  # Sure: all of it.
"""
OURS = "# The contract of these tests.\n" + FRAGMENT.replace("paths:\n", f"paths:\n{OTHER}")


def page(fragment: str = FRAGMENT) -> str:
    """The page with another fragment."""
    return PAGE.replace(FRAGMENT, fragment)


class Contract:
    """A folder with a contract. It imports pages into the contract."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.file = folder / "openapi.yaml"
        self._capsys = capsys

    def import_texts(self, *texts: str, name: str = "page.md", kind: str = "--page") -> tuple[int, str, str]:
        """Import pages or documents. Return the exit status, the standard output and the standard error."""
        arguments = [f"--root={self.folder}"]
        for index, text in enumerate(texts):
            path = self.folder / (f"{index}-{name}" if index else name)
            path.write_text(text, "utf-8")
            arguments.append(f"{kind}={path}")
        self._capsys.readouterr()
        status = tool.main(arguments)
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def text(self) -> str:
        return self.file.read_text("utf-8")


def empty_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Contract:
    return Contract(tmp_path, capsys)


def filled_contract(empty: Contract) -> Contract:
    empty.file.write_text(OURS, "utf-8")
    return empty


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1
