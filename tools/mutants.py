"""Mutation testing of the core: small wrong edits (mutants), each of which must fail a test or a type check.

`make mutants` runs it. mutmut makes the mutants and runs the pure tests; its settings are in pyproject.toml. mutmut
only knows packages in `src/`. So it runs in `.venv/mutation`, where `src` is a link to `wrapper/`. Results are kept
there: a mutant that was killed is not tried again while its function and the settings stay as they are.

It ends with 1 if fewer than nine of ten are killed, or if `survivors.toml` does not explain a survivor.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import functools
import json
import os
import resource
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from mutmut import __main__ as program
from mutmut.mutation import trampoline
from mutmut.mutation.file_mutation import FailedTypeCheckMutant, MutatedMethodLocation
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.type_checking import TypeCheckingError
from mutmut.utils.format_utils import get_mutant_name

ROOT: Final = Path(__file__).resolve().parent.parent
STAGE: Final = ROOT / ".venv" / "mutation"
EXPLAINED: Final = ROOT / "tools" / "survivors.toml"
LINKS: Final = {"src": "wrapper", "tests": "tests", "tools": "tools", "pyproject.toml": "pyproject.toml"}
MUTATED: Final = ("src/featherhq/_core", "src/featherhq/_threads")
# Only the named plugins, because others take seconds to import. `CI` makes Hypothesis deterministic.
ENVIRONMENT: Final = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CI": "1"}
LEAST: Final = 0.9
# Bytes. A mutant with an endless loop must not use up the machine.
_MOST_MEMORY: Final = 4 * 1024**3
# A test that takes so many seconds counts as endless. The machine may be busy, so there are many.
_HANGS: Final = ["-o", "faulthandler_timeout=90", "-o", "faulthandler_exit_on_timeout=true"]
# Complaints of mypy about copies of one method beside one another. They say nothing about the mutants.
_OF_COPIES: Final = ("no-redef", "unused-ignore", "has-type")
_FOUND: Final = {"killed", "timeout", "caught by type check", "segfault", "suspicious"}

Function = Callable[..., Any]


@functools.cache
def functions(path: Path) -> dict[str, tuple[int, int]]:
    """The functions and methods of a file, each with its first and last line."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = [node for top in tree.body for node in (top.body if isinstance(top, ast.ClassDef) else [top])]
    return {node.name: (node.lineno, node.end_lineno or 0) for node in nodes if isinstance(node, ast.FunctionDef)}


def wrong_types() -> dict[str, Any]:
    """The mutants that mypy rejects, and why. It replaces mutmut's own function, which takes minutes, and which fails
    if there is an error anywhere else.
    """
    line = [sys.executable, "-m", "mypy", "--strict", "--output=json", "--config-file=", "--python-version=3.11"]
    copy = STAGE / "mutants"
    line += [f"--cache-dir={STAGE / 'mypy'}", *MUTATED]
    ran = subprocess.run(line, cwd=copy, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if ran.stderr.strip():
        sys.exit(f"mypy: {ran.stderr}")
    found: list[tuple[str, str, str, str]] = []
    for entry in map(json.loads, ran.stdout.splitlines()):
        if entry["severity"] == "error" and entry["code"] not in _OF_COPIES:
            for name, (first, last) in functions(copy / entry["file"]).items():
                if first <= entry["line"] <= last and "__mutmut_" in name:
                    function, _, which = name.partition("__mutmut_")
                    found.append((entry["file"], function, which, entry["message"]))
    # A complaint about the original function says nothing about its copies.
    unedited = {(file, function, message) for file, function, which, message in found if which == "orig"}
    wrong: dict[str, Any] = {}
    for file, function, which, message in found:
        if (file, function, message) not in unedited:
            path, edited = Path(file), f"{function}__mutmut_{which}"
            name, error = get_mutant_name(path, edited), TypeCheckingError(path, 0, message)
            wrong[name] = FailedTypeCheckMutant(MutatedMethodLocation(path, edited, 0, 0), name, error)
    return wrong


def quick(slow: Function) -> Function:
    """As mutmut's own wrapper of a mutated function. That one reads the environment at each call, and so makes tests
    twice as slow.
    """
    said = vars(trampoline)

    def wrap_in_trampoline(edits: dict[str, Function], is_classmethod: bool = False) -> Function:  # noqa: FBT001, FBT002 - mutmut's
        def wrap(function: Function) -> Function:
            through = slow(edits, is_classmethod)(function)
            if is_classmethod:
                return through  # type: ignore[no-any-return]
            active, target = None, through

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal active, target
                if said["_mutant_under_test"] is not active:
                    active = said["_mutant_under_test"]
                    module, _, name = (active or "").rpartition(".")
                    target = edits["_mutmut_orig"]
                    if active in {"stats", "fail"}:
                        target = through
                    elif module == function.__module__:
                        target = edits.get(name, target)
                return target(*args, **kwargs)

            return call

        return wrap

    return wrap_in_trampoline


def closest(run_tests: Function, seconds: float) -> Function:
    """As mutmut's own way to run the tests that reach a mutant, but only so many seconds of them. Tests that reach the
    fewest functions come first: they look at the mutant most closely. A test that takes too long is left out.
    """

    def run_some(self: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        if mutant_name:
            # This is a process of its own, so it holds for its tests only.
            self._pytest_add_cli_args = [*self._pytest_add_cli_args, *_HANGS]
        reach = Counter(test for reaching in state().tests_by_mangled_function_name.values() for test in reaching)
        some: list[str] = []
        left = seconds
        for test in sorted(tests, key=lambda test: (reach[test], test)) if mutant_name else ():
            if not some or state().duration_by_test[test] <= left:
                some.append(test)
                left -= state().duration_by_test[test]
        return run_tests(self, mutant_name=mutant_name, tests=some or tests)  # type: ignore[no-any-return]

    return run_some


def stage() -> None:
    """Make the folder that mutmut needs, and go there."""
    STAGE.mkdir(parents=True, exist_ok=True)
    for name, target in LINKS.items():
        if not (STAGE / name).is_symlink():
            (STAGE / name).symlink_to(ROOT / target)
    os.chdir(STAGE)
    os.environ.update(ENVIRONMENT)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


def run(names: list[str], processes: int, seconds: float) -> None:
    """Make the mutants, and run the tests."""
    changed: Any = program
    changed.filter_mutants_with_type_checker = wrong_types
    changed = trampoline
    changed.wrap_in_trampoline = quick(trampoline.wrap_in_trampoline)
    changed = PytestRunner
    changed.run_tests = closest(PytestRunner.run_tests, seconds)
    program.cli(["run", f"--max-children={processes}", *names], standalone_mode=False)


def results() -> Iterator[tuple[Path, str, str]]:
    """Each mutant: its file, its name in there, and its result."""
    for folder in MUTATED:
        for path in sorted((STAGE / "mutants" / folder).glob("*.py.meta")):
            for name, code in json.loads(path.read_text("utf-8"))["exit_code_by_key"].items():
                yield path.with_suffix(""), name.rpartition(".")[2], status_by_exit_code[code]


def edit(path: Path, name: str) -> tuple[str, str, str]:
    """The function of a mutant, and the lines before and after the edit."""
    function = name.partition("__mutmut_")[0]
    lines = path.read_text("utf-8").splitlines()
    places = functions(path)
    before, after = (lines[first:last] for first, last in (places[f"{function}__mutmut_orig"], places[name]))
    changes = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    old, new = (" ".join(line[1:].strip() for line in changes if line.startswith(sign)) for sign in "-+")
    shown = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return f"{path.parent.name}/{path.name}: {shown}", old, new


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="the mutants to try: all, or those whose mutmut names match")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of tests that each mutant has to pass")
    parser.add_argument("--report", action="store_true", help="only print the results of the last run")
    given = parser.parse_args()
    stage()
    if not given.report:
        run(given.names, given.processes, given.seconds)
    entries = tomllib.loads(EXPLAINED.read_text("utf-8"))["survivor"] if EXPLAINED.exists() else []
    explained = {(entry["function"], entry["old"], entry["new"]) for entry in entries}
    counts: Counter[str] = Counter()
    unexplained = 0
    for path, name, status in results():
        counts[status] += 1
        if status not in _FOUND:
            function, old, new = edit(path, name)
            known = (function, old, new) in explained
            unexplained += not known
            if not known:
                print(f"{status}, not explained: {function}\n  - {old}\n  + {new}")
    found = sum(counts[status] for status in _FOUND)
    total = counts.total()
    summary = ", ".join(f"{number} {status}" for status, number in counts.most_common())
    print(f"{found} of {total} mutants killed ({found / max(1, total):.1%}): {summary}; {unexplained} not explained")
    return found < LEAST * total or unexplained > 0


if __name__ == "__main__":
    sys.exit(main())
