"""Makes reStructuredText of our docstrings, which are written to be read in `help()`.

There, code is an indented block, and a plural may follow a name in backticks.
"""

from __future__ import annotations

import re
from typing import Any

_PLURAL = re.compile(r"(?<=\w`)(?=[a-z])")
# The sections that napoleon knows. What is indented below them is no code.
_SECTION = re.compile(r"(Args|Attributes|Examples?|Notes?|Raises|Returns|Yields|Warns):$")


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
