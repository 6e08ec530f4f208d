"""Fuzz tests: any bytes of a server are read as a correct value, or raise a known error."""

from __future__ import annotations

import gzip
import json
import logging

import pytest
from featherhq._core.sse import LARGEST_EVENT
from fuzz_inputs import CHOOSING, INPUTS, RAW_DEFLATE, json_like
from fuzz_targets import TARGETS
from hypothesis import example, given, settings, strategies as st

# These take more than a second.
SLOW = {"read_stream_events", "read_conversation_stream", "unpack_body"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in TARGETS]
)
def test_any_bytes_are_read_without_an_unknown_error(name: str) -> None:
    """Each target passes: it returns a correct value, or raises only the errors that its docstring names."""
    level = logging.getLogger("featherhq").level

    @settings(max_examples=80, derandomize=True, database=None)
    @given(st.binary(min_size=1, max_size=1), INPUTS.get(name, json_like))
    @example(b"\0", b"")
    @example(b"\x01", b"[" * 100_000)
    @example(
        b"\x07", json.dumps({"thread": {"id": "\ud800", "messages": [{"id": 10**4299, "messageBody": ""}]}}).encode()
    )
    @example(b"\x01", RAW_DEFLATE)
    @example(b"\x00", gzip.compress(b"{}") + b"behind it\0\0\0")
    @example(b"\x03", b"data: " + b"x" * (LARGEST_EVENT + 1) + b"\n\n")
    def run(choice: bytes, data: bytes) -> None:
        TARGETS[name](choice + data if name in CHOOSING else data)

    try:
        run()
    finally:
        logging.getLogger("featherhq").setLevel(level)
