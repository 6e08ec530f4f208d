"""The watch of the tests finds each key that is shown."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from featherhq import FeatherError
from key_helpers import error_of, new_key
from sight import Watch, renderings

key = pytest.fixture(new_key)


def raised(key: str, how: str) -> BaseException:
    """An error from a function with a key among its local variables."""
    lines = {
        "local": "held = key\n    raise FeatherError('no')",
        "deep": "held = [{'a': SimpleNamespace(b=key)}]\n    raise FeatherError('no')",
        "cause": "held = key\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n"
        "        raise FeatherError('no') from error",
        "field": "error = FeatherError('no')\n    error.found = key\n    key = None\n    raise error",
        "note": "error = FeatherError('no', hint=key)\n    key = None\n    raise error",
        "none": "key = None\n    raise FeatherError('no')",
    }[how]
    names: dict[str, Any] = {}
    source = f"from types import SimpleNamespace\nfrom featherhq import FeatherError\ndef work(key):\n    {lines}\n"
    exec(compile(source, "/wrapper/featherhq/work.py", "exec"), names)  # noqa: S102 - our own
    return error_of(lambda: names["work"](key))


@pytest.mark.parametrize("how", ["local", "deep", "cause", "field", "note", "none"])
def test_the_watch_finds_a_key(key: str, how: str) -> None:
    """The watch finds a key in a frame of the package, inside a local variable, in a cause, and in the fields of an
    error. It finds nothing when there is no key.
    """
    seen = Watch(key)
    error = raised(key, how)
    assert isinstance(error, FeatherError)
    seen.note(error)
    seen.judge()
    assert bool(seen.found) is (how != "none")
    assert key not in str(seen.found)
    for code in (False, True):
        assert any(key in one for one in renderings(raised(key, how), code=code)) is (how != "none")


WATCHED = """
import logging, sys
import pytest
from conftest import KEY
from featherhq import Feather, FeatherError


def lib(statement, **names):
    exec(compile(statement, "/wrapper/featherhq/work.py", "exec"), {"FeatherError": FeatherError, **names})


def test_an_error():
    with pytest.raises(FeatherError):
        lib("def work(key):\\n    raise FeatherError('no')\\nwork(held)", held=KEY)


def test_a_log():
    logging.getLogger("any.of.them").debug("the key is %s", KEY)


def test_output():
    print(KEY)


def test_an_error_output():
    sys.stderr.write(KEY)


def test_a_test_may_have_the_key():
    held = KEY
    with pytest.raises(FeatherError):
        Feather(held, base_url="nowhere")


def test_the_watch_does_not_change_levels(caplog):
    logging.getLogger("any").debug("below the level")
    logging.getLogger("any").warning("at the level")
    assert [record.getMessage() for record in caplog.records] == ["at the level"]
"""


def test_a_test_that_shows_the_key_fails(tmp_path: Path) -> None:
    """The watch in conftest fails each test whose error frames, logs or output show the key."""
    here = Path(__file__).parent.parent
    for name in ("conftest.py", "sight.py"):
        shutil.copy(here / name, tmp_path)
    (tmp_path / "test_it.py").write_text(WATCHED)
    line = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    ran = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = sorted(re.findall(r"^ERROR test_it.py::(\w+)", ran.stdout, re.MULTILINE))
    assert errors == ["test_a_log", "test_an_error", "test_an_error_output", "test_output"], ran.stdout
    assert "6 passed, 4 errors" in ran.stdout
