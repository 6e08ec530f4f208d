"""The corpus: pages that were written by hand, and pages that were drawn. It is the same on every run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from corpus_fixed_answers import PAGES as ANSWERS, REFUSABLE
from corpus_fixed_names import PAGES as NAMES
from corpus_fixed_new import PAGES as NEW_FORMS
from corpus_fixed_requests import PAGES as REQUESTS
from corpus_fixed_schemas import PAGES as SCHEMAS
from corpus_fixed_unions import PAGES as UNIONS
from corpus_page import Page


def _drawn() -> tuple[Page, ...]:
    program = str(Path(__file__).with_name("corpus_draw.py"))
    # Without the variables of this process (-E), so that nothing around it counts.
    done = subprocess.run([sys.executable, "-E", program], stdout=subprocess.PIPE, text=True, check=True)
    return tuple(Page(name, document) for name, document in json.loads(done.stdout))


FIXED: Final = (*SCHEMAS, *UNIONS, *NAMES, *REQUESTS, *ANSWERS, *NEW_FORMS)
DRAWN: Final = _drawn()
PAGES: Final = (*FIXED, *DRAWN)
OLD_PAGES: Final = tuple(page for page in PAGES if not page.is_new)
NEW_PAGES: Final = tuple(page for page in PAGES if page.is_new)

__all__ = ["DRAWN", "FIXED", "NEW_PAGES", "OLD_PAGES", "PAGES", "REFUSABLE"]
