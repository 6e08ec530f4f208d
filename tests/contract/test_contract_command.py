"""`make contract` takes files with any names."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import contract as tool
import pytest
from contract_helpers import FRAGMENT, PATH, ROOT, Contract, empty_contract, filled_contract, page

empty = pytest.fixture(empty_contract)
contract = pytest.fixture(filled_contract)
NAMES = [
    "two words.md",
    "a (copy) [1].md",
    'it\'s "new".md',
    "a&b;c|d<e>*?!~`.md",
    "-first.md",
    "caf\u00e9 \u2019.md",
    "a=b, c.md",
]


def put(method: str) -> str:
    """A page with a new operation."""
    return page(FRAGMENT.replace("get:", f"{method}:"))


@pytest.mark.parametrize("name", NAMES)
def test_one_file_with_an_odd_name(
    contract: Contract, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """If the whole text of PAGE or SPEC is the name of a file, it is one file."""
    monkeypatch.chdir(contract.folder)
    Path(name).write_text(put("put"), "utf-8")
    monkeypatch.setenv("PAGE", name)
    assert tool.main([f"--root={contract.folder}", "--make"]) == 0
    assert capsys.readouterr().out.startswith(f"{name}\n  PUT {PATH}: new\n")
    monkeypatch.delenv("PAGE")
    Path(name).write_text(FRAGMENT.replace("get:", "delete:"), "utf-8")
    monkeypatch.setenv("SPEC", name)
    assert tool.main([f"--root={contract.folder}", "--make"]) == 0
    assert f"  DELETE {PATH}: new\n" in capsys.readouterr().out


def test_several_files(contract: Contract, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Several names have blanks between them. A name that does not exist is an error that says what to do."""
    monkeypatch.chdir(contract.folder)
    for method in ("put", "delete"):
        Path(f"{method}.md").write_text(put(method))
    monkeypatch.setenv("PAGE", " put.md\tdelete.md ")
    assert tool.main([f"--root={contract.folder}", "--make"]) == 0
    assert "put:" in contract.text()
    assert "delete:" in contract.text()
    for names, told in [
        ("put.md my page.md", "error: my: there is no such file. If a name has blanks, import its file alone\n"),
        ("x.md", "error: x.md: No such file or directory. Check its name"),
        ("x.md " * 200, "error: x.md: there is no such file."),
        (" ", "error: nothing to bring in: make contract PAGE=page.md, or SPEC=openapi.json\n"),
    ]:
        monkeypatch.setenv("PAGE", names)
        capsys.readouterr()
        assert tool.main([f"--root={contract.folder}", "--make"]) == 1
        assert capsys.readouterr().err.startswith(told)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_passes_the_names_on(tmp_path: Path) -> None:
    """`make contract` imports each of these files, and several at once."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    line = ["make", "--no-print-directory", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.tools", "contract"]

    def run(names: str) -> str:
        ran = subprocess.run([*line, f"PAGE={names}"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    for name in NAMES:
        (tmp_path / name).write_text(page(), "utf-8")
        assert run(name).startswith(f"{name}\n  GET {PATH}: ")
    (tmp_path / "one.md").write_text(put("put"))
    (tmp_path / "two.md").write_text(put("delete"))
    assert run("one.md two.md").startswith(f"one.md\n  PUT {PATH}: new\ntwo.md\n  DELETE {PATH}: new\n")
