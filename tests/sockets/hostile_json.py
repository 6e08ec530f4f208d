"""Hostile cases: bodies that are not JSON, and JSON with unusual values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Final

from conftest import THREAD_ID
from featherhq import (
    APIConnectionError,
    APIStatusError,
    DeliveryUnknownError,
    NotFoundError,
    ReplyTimeoutError,
    ResponseDecodeError,
)
from hostile import (
    MEBI,
    Request,
    Script,
    Step,
    as_json,
    head,
    large,
    says,
    whole,
)
from hostile_case import (
    ANY,
    DECODE,
    DEEP,
    GOT,
    NOTHING,
    UNKNOWN,
    Case,
)

UNREADABLE: Final[dict[str, Script]] = {
    "arrays_100000_deep": says(whole(b"[" * DEEP + b"]" * DEEP)),
    "objects_100000_deep": says(whole(b'{"thread":' * DEEP + b"1" + b"}" * DEEP)),
    "an_open_array_100000_deep": says(whole(b"[" * DEEP)),
    "an_inner_array_100000_deep": says(whole(b'{"thread": {"messages":' + b"[" * DEEP + b"]" * DEEP + b"}}")),
    "no_json": says(whole(b"<html>no\x1b[31m\xe2\x80\xae</html>", media="text/html")),
    "an_empty_body": says(whole(b"")),
    "nan": says(whole(b"NaN")),
    "a_list": says(whole(b"[]")),
    "null": says(whole(b"null")),
    "a_number": says(whole(b"17")),
    "a_number_of_5000_digits": says(whole(b'{"thread": ' + b"9" * 5000 + b', "messageId": ' + b"9" * 5000 + b"}")),
    "a_string": says(whole(b'"thread"')),
    "a_lone_surrogate": says(whole(rb'"\ud800"')),
    "a_thread_that_is_a_list": says(whole(b'{"thread": [], "messageId": []}')),
    "a_thread_that_is_null": says(whole(b'{"thread": null, "messageId": null}')),
    "a_cut_object": says(whole(b'{"thread": {"id": "x", "messages": [], "messageId')),
    "invalid_utf8": says(whole(b'\xff\xfe\xfd{"thread": {"id": "\xc3\x28"}}\x80')),
    "millions_of_values": large(b'{"x":[', b"[]," * 21_845, 250, b"[]]}"),
}


FOR_EACH_CALL: Final = {
    "arrays_100000_deep",
    "an_inner_array_100000_deep",
    "no_json",
    "an_empty_body",
    "a_list",
    "a_thread_that_is_a_list",
    "a_number_of_5000_digits",
    "millions_of_values",
}
"""The bodies that are tried with each call. The other bodies are tried with one call."""


ID_ENDS: Final[dict[str, tuple[object, tuple[object, ...]]]] = {
    "dots": ("..", DECODE),
    "one_dot": (".", DECODE),
    "with_a_slash": ("a/b", (ResponseDecodeError, "used")),
    "climbing": ("../../admin", (ResponseDecodeError, "used")),
    "with_a_query": ("a?b#c", (ResponseDecodeError, "used")),
    "a_lone_surrogate": ("\ud800", DECODE),
    "of_1_mb": ("x" * MEBI, (ResponseDecodeError, APIConnectionError, APIStatusError, DeliveryUnknownError, "used")),
    "with_control_characters": ("a\r\nb\x1b[2J\0", (ResponseDecodeError, "used")),
    "with_bidi_controls": ("a\u202eb\u2066", (ResponseDecodeError, "used")),
    "empty": ("", DECODE),
    "true": (True, DECODE),
    "an_object": ({"id": 1}, DECODE),
    "1e999": (math.inf, DECODE),
}


def unreadable() -> Iterator[Case]:
    """Bodies that are not JSON, or not the promised JSON."""
    for name, script in UNREADABLE.items():
        for call in ("get", "create", "list") if name in FOR_EACH_CALL else ("get",):
            yield Case(f"{call}-{name}", call, {call: script}, DECODE, timeout=1.0)
        yield Case(f"send-{name}", "send", {"send": script}, UNKNOWN)
    for name in ("arrays_100000_deep", "an_empty_body", "a_number_of_5000_digits", "millions_of_values"):
        script = UNREADABLE[name]
        yield Case(f"ask-{name}", "ask", {"send": script}, UNKNOWN)
        yield Case(f"chat_ask-history-{name}", "chat_ask", {"list": script}, (ReplyTimeoutError,), timeout=1.0)
        yield Case(
            f"replies-history-{name}", "replies", {"list": script, "stream": says(whole(b"", "404 No"))}, NOTHING
        )
        as_error = says(head("500 No", length=len(b"[" * DEEP)) + b"[" * DEEP)
        yield Case(
            f"get-error-{name}", "get", {"get": _with_status(script, b"404 Not Found")}, (NotFoundError,), timeout=1.0
        )
        if name == "arrays_100000_deep":
            yield Case(f"send-error-{name}", "send", {"send": as_error}, UNKNOWN)


def odd_ids() -> Iterator[Case]:
    """Threads with odd ids, and threads with other odd values."""
    for name, (id_, ends) in ID_ENDS.items():
        yield Case(f"create-an_id_{name}", "use", {"create": says(as_json({"thread": {"id": id_}}))}, ends)
    for name, body in {
        "nan_inside": b'{"thread": {"id": "%s", "metadata": NaN, "x": [NaN, -Infinity]}}',
        "huge_number_inside": b'{"thread": {"id": "%s", "createdAt": 1e999, "updatedAt": -1e999}}',
        "duplicate_keys": b'{"thread": 1, "thread": {"id": 1, "id": "%s"}}',
        "a_bom": b'\xef\xbb\xbf{"thread": {"id": "%s"}}',
        "wrong_types_inside": b'{"thread": {"id": "%s", "metadata": [], "variables": 1, "createdAt": {}, "agent": []}}',
        "surrogates_inside": b'{"thread": {"id": "%s", "metadata": {"\\ud800": "\\udfff"}, "status": "\\ud83d"}}',
    }.items():
        script = says(whole(body.replace(b"%s", THREAD_ID.encode())))
        yield Case(f"get-{name}", "get", {"get": script}, (GOT, ResponseDecodeError))
    utf16 = json.dumps({"thread": {"id": THREAD_ID}}).encode("utf-16")
    yield Case("get-utf16", "get", {"get": says(whole(utf16))}, (GOT, ResponseDecodeError))


def odd_receipts() -> Iterator[Case]:
    """Receipts with odd ids and other odd values."""
    for name, receipt, ends in (
        ("an_id_of_1_mb", {"messageId": "x" * MEBI}, (ANY, DeliveryUnknownError)),
        ("an_id_of_5000_digits", b'{"messageId": ' + b"9" * 5000 + b"}", UNKNOWN),
        ("an_empty_id", {"messageId": ""}, UNKNOWN),
        ("an_id_that_is_true", {"messageId": True}, UNKNOWN),
        ("an_id_with_controls", {"messageId": "m\x1b[2J\n\u202e"}, (ANY, DeliveryUnknownError)),
        ("a_surrogate_id", {"messageId": "\ud800"}, (ANY, DeliveryUnknownError)),
        ("odd_fields", b'{"messageId": "m", "status": 1e999, "windowExpiresIn": NaN, "threadId": []}', ("m",)),
        ("a_huge_window", b'{"messageId": "m", "windowExpiresIn": 1e999}', ("m",)),
        ("a_surrogate_for_its_thread", b'{"messageId": "m", "threadId": "\\ud800"}', ("m", DeliveryUnknownError)),
    ):
        raw = receipt if isinstance(receipt, bytes) else json.dumps(receipt).encode()
        yield Case(f"send-{name}", "send", {"send": says(whole(raw))}, ends)
        if ANY in ends:
            late = (ReplyTimeoutError, DeliveryUnknownError)
            yield Case(f"ask-{name}", "ask", {"send": says(whole(raw))}, late)


def _with_status(script: Script, status: bytes) -> Script:
    """The same script with another status."""

    def changed(request: Request) -> Iterator[Step]:
        for step in script(request):
            yield step.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 " + status, 1) if isinstance(step, bytes) else step

    return changed
