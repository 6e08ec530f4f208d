"""The inputs of the fuzz tests: bytes like those that servers send, with edge cases more often than by chance."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Final

from fuzz_helpers import KEY, THREAD_ID
from hypothesis import strategies as st

# JSON values.

texts = st.text(max_size=20) | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl"]), max_size=5)
times = st.sampled_from(
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00Z", "2026-W01", "+99:99", "20260101"]
) | st.datetimes().map(str)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**4299, -(10**400), 2**64])
    | st.floats()
    | texts
    | times
    | st.sampled_from([THREAD_ID, "INBOUND", "OUTBOUND", "m-1", "..", "x" * 1025, KEY])
)
names = (
    st.sampled_from(
        [
            "id",
            "threadId",
            "messageBody",
            "direction",
            "createdAt",
            "status",
            "message",
            "data",
            "thread",
            "messages",
            "pagination",
            "nextCursor",
            "messageId",
            "code",
            "windowExpiresIn",
            "agent",
            "metadata",
        ]
    )
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(names, inner, max_size=6), max_leaves=12
)
# Messages and pages.

messages = st.fixed_dictionaries(
    {"id": scalars | st.sampled_from(["m-1", "m-2"]), "messageBody": texts | scalars},
    optional={
        "direction": st.sampled_from(["INBOUND", "OUTBOUND"]) | scalars,
        "createdAt": times | scalars,
        "threadId": scalars,
    },
)
pages = st.fixed_dictionaries(
    {
        "thread": st.fixed_dictionaries(
            {"messages": st.lists(messages, max_size=6) | values},
            optional={"pagination": st.fixed_dictionaries({"nextCursor": scalars}) | values, "id": scalars},
        )
    }
)
documents = (pages | messages | values | st.fixed_dictionaries({"messageId": scalars, "windowExpiresIn": scalars})).map(
    lambda value: json.dumps(value).encode()
)
deep = st.builds(
    lambda opening, times: opening * times, st.sampled_from([b"[", b'{"message":', b'{"thread":']), st.integers(1, 5000)
)
json_like = documents | deep | st.binary(max_size=60) | documents.map(lambda document: document[:-2])
# Streams, headers and packed bodies.

lines = st.sampled_from(
    [
        b"\n",
        b"\r",
        b"\r\n",
        b"data: ",
        b"data",
        b"id: ",
        b"retry: ",
        b":",
        b"event: x",
        b"\0",
        b"\xef\xbb\xbf",
        b"9" * 5000,
        b"x" * 400_000,
    ]
)
streams = st.lists(lines | documents | st.binary(max_size=8), max_size=30).map(b"".join)
dates = st.sampled_from(
    [
        b"Tue, 01 Jan 99999 00:00:00 GMT",
        b"Fri, 31 Dec 9999 23:59:59 -2359",
        b"9" * 5000,
        b"inf",
        b"nan",
        b"-1",
        b"1e999",
        b"1_0",
    ]
)
packed = st.one_of(
    documents.map(gzip.compress),
    documents.map(zlib.compress),
    st.lists(documents, max_size=3).map(lambda parts: b"".join(map(gzip.compress, parts))),
    st.just(gzip.compress(b"a" * 3_000_000)),
)
broken = st.builds(
    lambda data, end, more: data[: end % (len(data) + 1)] + more, packed, st.integers(0, 4000), st.binary(max_size=9)
)

# A deflate body without its header, followed by zeros.
RAW_DEFLATE: Final = zlib.compress(b"{}", wbits=-15) + b"\0\0\0"

# The inputs of each target. All other targets get `json_like`.
INPUTS: Final[dict[str, st.SearchStrategy[bytes]]] = {
    "read_stream_events": streams,
    "read_conversation_stream": streams,
    "read_waits_and_dates": st.lists(dates | st.binary(max_size=30), min_size=2, max_size=2).map(b"\n".join),
    "read_error": json_like | st.lists(dates | st.binary(max_size=30), max_size=7).map(b"\n".join),
    "unpack_body": packed | broken | json_like,
    "read_history": st.lists(json_like, max_size=4).map(b"\0".join),
    "find_lost_message": st.lists(json_like, max_size=4).map(b"\0".join),
}
# The targets that choose a case by the first byte.
CHOOSING: Final = {
    "read_stream_events",
    "read_conversation_stream",
    "read_error",
    "unpack_body",
    "read_response",
    "remove_key",
}
