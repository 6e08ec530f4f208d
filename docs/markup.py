"""Makes what Sphinx expects of our docstrings and pages.

Docstrings are written to be read in `help()`: code is an indented block, and a plural may follow a name in backticks.
Pages are written to be read in the repository too: they have links to files that are not part of the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PLURAL = re.compile(r"(?<=\w`)(?=[a-z])")
# The sections that napoleon knows. What is indented below them is no code.
_SECTION = re.compile(r"(Args|Attributes|Examples?|Notes?|Raises|Returns|Yields|Warns):$")
_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]*)\)")
_PAGES = Path(__file__).parent


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
