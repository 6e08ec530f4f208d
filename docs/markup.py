"""Makes what Sphinx expects of our docstrings and pages.

Docstrings are written to be read in `help()`: code is an indented block, and a plural may follow a name in backticks.
Pages are written to be read in the repository too: they have links to files that are not part of the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import FunctionType
from typing import Any

import featherhq
from featherhq import errors, models, pytest_plugin, sandbox
from sphinx.util.logging import getLogger

logger = getLogger(__name__)

_PLURAL = re.compile(r"(?<=\w`)(?=[a-z])")
# The sections that napoleon knows. What is indented below them is no code.
_SECTION = re.compile(r"(Args|Attributes|Examples?|Notes?|Raises|Returns|Yields|Warns):$")
_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]*)\)")
_PAGES = Path(__file__).parent


def internals() -> set[str]:
    """Names in public modules that are not for users, though they have no underscore: other modules import them."""
    found = set()
    for module in (errors, models, pytest_plugin):
        for name, thing in vars(module).items():
            is_class = isinstance(thing, type) and name not in featherhq.__all__
            if is_class or isinstance(thing, FunctionType) or name.isupper():
                found.add(name)
    return found


def skip(_app: Any, what: str, name: str, _thing: Any, given: bool, _options: Any) -> bool | None:  # noqa: FBT001
    """Leave such names out of the reference."""
    return True if what == "module" and name in internals() else given or None


def complain(_app: Any, env: Any) -> None:
    """Warn of public names that the reference does not have."""
    there = {name.rpartition(".")[2] for name in env.domains["py"].objects}
    for name in {*featherhq.__all__, *sandbox.__all__} - {"__version__"} - there:
        logger.warning("the reference has no entry for %s", name)


def unlink(app: Any, name: str, source: list[str]) -> None:
    """Make plain text of the links of a page that lead out of this folder, to files that there are."""
    folder = Path(app.env.doc2path(name)).parent

    def text(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        return link[1] if target.exists() and not target.is_relative_to(_PAGES) else link[0]

    source[0] = _LINK.sub(text, source[0])


def to_rest(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Change the lines of a docstring in place, before napoleon reads them."""
    made: list[str] = []
    code = section = False
    for line in lines:
        indented = line.startswith("    ")
        if line and not indented:
            section, code = bool(_SECTION.match(line)), False
        elif indented and not section and not code and made and not made[-1]:
            code = True
            text = next((one for one in reversed(made) if one), "")
            if not text.endswith("::"):
                made += ["::", ""]
        made.append(line if code else _PLURAL.sub(r"\\ ", line))
    lines[:] = made
