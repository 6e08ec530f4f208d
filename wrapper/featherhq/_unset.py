"""Make `UNSET`, the value of a missing field of a generated model, survive copies and pickles of the model.

Generated code compares with `UNSET` by identity (`is`), so a copy of it would be a different value. This module must be
imported before the first model is made.
"""

from __future__ import annotations

import copyreg

from featherhq_api.types import Unset

# A reducer that returns a string names a global variable: the copy is the object of that name in its module.
copyreg.pickle(Unset, lambda _: "UNSET")
