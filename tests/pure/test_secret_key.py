"""An API key in memory."""

from __future__ import annotations

import copy
import pickle

import pytest
from featherhq._core.secrets import Secret


def test_a_key_cannot_be_pickled_copied_or_shown() -> None:
    """A secret shows only stars, and pickling or copying it is an error."""
    secret = Secret("key")
    assert (repr(secret), str(secret), f"{secret}", secret.reveal()) == ("***", "***", "***", "key")
    for make in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            make(secret)
