"""Has what is left out of a generated model survive copies and pickles of it. Imported with the first model.

`UNSET` is told by what it is, not by what it equals, so a copy of it would be another value.
"""

from __future__ import annotations

import copyreg

from featherhq_api.types import Unset

# A name means the object that has it.
copyreg.pickle(Unset, lambda _: "UNSET")
