"""Removes API keys from texts that a user may read: recorded requests and log lines."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

_REPLACEMENT: Final = "***"
# A shorter key is replaced only as a whole word. It protects nothing, and a key "k" would change almost every text.
_SHORTEST_SECRET: Final = 8


@lru_cache(maxsize=8)
def redactor(*keys: str) -> Callable[[str], str]:
    """A function that replaces keys in a text by `***`.

    It finds a key as it is, with percent-encoding (RFC 3986, section 2.1), or in a JSON string (RFC 8259, section 7).
    """
    patterns = []
    for key in filter(None, keys):
        for form in {key, quote(key, safe=""), quote(key), json.dumps(key)[1:-1]}:
            whole = re.escape(form)
            patterns.append(whole if len(key) >= _SHORTEST_SECRET else rf"(?<!\w){whole}(?!\w)")
    # The longest pattern first, because one form may be a part of another.
    pattern = re.compile("|".join(sorted(patterns, key=len, reverse=True)))
    return lambda text: pattern.sub(_REPLACEMENT, text)
