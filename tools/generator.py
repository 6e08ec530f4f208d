"""Run openapi-python-client on a document. Each run is a process of its own: `python tools/generator.py INPUT.json`.

The input is a JSON object: `document` (a path), `package` (the folder to make), `overrides` (media types that stand for
others), `facts` (what the templates must know of each operation, by its module), and `only_check` (make nothing). It
prints a JSON list of what the generator refused.

Some templates of the generator are changed a little (templates/changes.toml).
"""

from __future__ import annotations

import json
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import openapi_python_client
import python_names  # noqa: F401 - it tells the generator names
from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.errors import GeneratorError
from openapi_python_client.parser.properties import ModelProperty

_TOOLS: Final = Path(__file__).resolve().parent
_TEMPLATES: Final = _TOOLS / "templates"


def main() -> int:
    """Run the generator once, with the input that the command line names."""
    given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    # The generator copies each operation several times, and with it all classes that it leads to. Nothing changes those
    # copies. For 300 operations the copies take three minutes, and all the rest three seconds.
    ModelProperty.__deepcopy__ = lambda model, _: model  # type: ignore[attr-defined]
    with TemporaryDirectory() as folder:
        errors = _generate(given, Path(folder))
    print(json.dumps([" ".join(f"{error.header}: {error.detail or ''}".split()) for error in errors]))
    return 0


def _generate(given: dict[str, Any], templates: Path) -> list[GeneratorError]:
    settings = ConfigFile.load_from_path(_TOOLS / "generator.yaml")
    settings.content_type_overrides = given["overrides"]
    source = Path(given["document"])
    config = Config.from_sources(
        settings, MetaType.NONE, source, "utf-8", overwrite=False, output_path=Path(given["package"])
    )
    data = GeneratorData.from_dict(json.loads(source.read_text("utf-8")), config=config)
    if isinstance(data, GeneratorError):
        return [data]
    if given["only_check"]:
        parsed = data.endpoint_collections_by_tag.values()
        return [*(error for collection in parsed for error in collection.parse_errors), *data.errors]
    _write_templates(templates)
    project = Project(openapi=data, config=config, custom_template_path=templates)
    project.env.globals["facts"] = given["facts"]
    return list(project.build())


def _write_templates(folder: Path) -> None:
    """Our templates: one of our own, and those of the generator that we change."""
    changed: dict[str, str] = {}
    for change in tomllib.loads((_TEMPLATES / "changes.toml").read_text("utf-8"))["change"]:
        name, old = change["template"], change["old"]
        text = changed.get(name) or files(openapi_python_client).joinpath("templates", name).read_text("utf-8")
        if text.count(old) != 1:
            sys.exit(f"the template {name} of openapi-python-client is another one; this is not in it once:\n{old}")
        changed[name] = text.replace(old, change["new"])
    changed |= {own.name: own.read_text("utf-8") for own in _TEMPLATES.glob("*.jinja")}
    for name, text in changed.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
