"""The commands and programs in docs/contract.md, run in order, print what the document shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the comparison with a commit needs git")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDED = ("openapi.yaml", "openapi.overlay.yaml", "Makefile", "pyproject.toml", "docs", "generated", "tools", "wrapper")
# `make` uses the tools of this environment and does not set up another one.
OFFLINE = ("unshare", "--map-root-user", "--net")
MAKE = '#!/bin/sh\nexec {make} --no-print-directory VENV="{venv}" -o "{venv}/.node" -o "{venv}/.tools" "$@"\n'


def prepare(folder: Path) -> tuple[Path, dict[str, str]]:
    """Copy the project; return the copy and the environment for its commands."""
    repository, scripts = folder / "repository", folder / "scripts"
    repository.mkdir()
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, repository)
    # The document shows this version, whatever the current version is.
    (repository / "wrapper/featherhq/_version.py").write_text('__version__ = "0.1.0"\n')
    scripts.mkdir()
    (scripts / "make").write_text(MAKE.format(make=shutil.which("make"), venv=sys.prefix))
    (scripts / "make").chmod(0o755)
    return repository, {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "COVERAGE"))},
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(repository / "wrapper"), str(repository / "generated")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def test_the_documented_steps_work(tmp_path: Path) -> None:
    """The steps lead from a page to a function with retries and typed errors, without any change in wrapper/.

    The commands run without a network, if the system can remove it.
    """
    offline = OFFLINE if shutil.which("unshare") and not subprocess.call([*OFFLINE, "true"]) else ()
    repository, environment = prepare(tmp_path)

    def run(*line: str) -> str:
        ran = subprocess.run(
            line,
            cwd=repository,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        return ran.stdout

    git = ("git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    run("git", "init", "--quiet")
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message=All of it")

    printed = None
    kinds = []
    for kind, text in BLOCK.findall((ROOT / "docs/contract.md").read_text("utf-8")):
        kinds.append(kind)
        if kind == "text":
            assert printed == text
        elif kind == "sh":
            printed = run(*offline, "sh", "-ec", text)
        elif kind == "python":
            printed = run(sys.executable, "-W", "error", "-c", text)
        else:
            assert kind == "yaml"
            with (repository / "openapi.overlay.yaml").open("a", encoding="utf-8") as overlay:
                overlay.write(text)
    assert kinds == ["sh", "text"] * 3 + ["yaml"] + ["sh", "text"] + ["python", "text"]
    changed = run("git", "status", "--porcelain", "--untracked-files=all").splitlines()
    assert all(line[3:].startswith(("openapi.", "generated/")) for line in changed), changed
