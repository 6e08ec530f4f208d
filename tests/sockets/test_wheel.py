"""The wheel, installed in an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BARE = """
import importlib.util
import featherhq, featherhq_api
for extra in ("starlette", "uvicorn", "jsonschema", "click", "rich", "prompt_toolkit"):
    assert importlib.util.find_spec(extra) is None, extra
try:
    import featherhq.sandbox
except ImportError as error:
    assert "featherhq[sandbox]" in str(error), error
else:
    raise AssertionError("the sandbox was imported without its extra")
"""


def test_the_wheel_works_in_an_empty_environment(tmp_path: Path) -> None:
    """The wheel contains both typed packages. It can be imported without its extras, and with them the demo runs."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*line: str, stdin: str = "") -> str:
        ran = subprocess.run(
            line, env=environment, cwd=tmp_path, input=stdin, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"featherhq/py.typed", "featherhq_api/py.typed", "featherhq_api/openapi.json"} <= names
    assert {name.split("/")[0] for name in names} == {"featherhq", "featherhq_api", wheel.name[:15] + ".dist-info"}

    venv.create(tmp_path / "empty", with_pip=True)
    python = str(tmp_path / "empty/bin/python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, str(wheel))
    run(python, "-W", "error", "-c", BARE)
    bare = subprocess.run([tmp_path / "empty/bin/featherhq"], capture_output=True, text=True, check=False)
    assert bare.returncode == 2
    assert bare.stderr == "featherhq: the command line needs click: pip install 'featherhq[cli]'\n"
    run(*pip, f"{wheel}[sandbox]")
    assert "Order 1042" in run(python, "-W", "error", str(ROOT / "examples/demo.py"))
    run(*pip, f"{wheel}[cli]")
    talk = [python, "-W", "error", "-m", "featherhq", "chat", "--sandbox"]
    assert "Order 1042" in run(*talk, stdin="Where is my order?")
