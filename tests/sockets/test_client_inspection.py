"""Tools can inspect, copy and pickle the public objects, or get a clear error."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import typing
from collections.abc import Callable
from typing import Any
from unittest.mock import create_autospec

import attrs
import cattrs
import featherhq
import featherhq.sandbox
import pytest
from conftest import THREAD_ID
from featherhq import (
    FeatherError,
    UsageError,
)

PUBLIC = {
    f"{module.__name__}.{name}": one
    for module in (featherhq, featherhq.sandbox)
    for name in module.__all__
    if isinstance(one := getattr(module, name), type)
}


@pytest.mark.parametrize("name", PUBLIC)
def test_tools_can_inspect_every_public_class(name: str) -> None:
    """Tools can read the type hints, attrs fields, source and autospec of each public class and its methods."""
    public = PUBLIC[name]
    assert inspect.getsource(public).startswith(("class ", "@"))
    assert typing.get_type_hints(public) is not None
    if attrs.has(public):
        attrs.resolve_types(public)
    for member in vars(public).values():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function):
            typing.get_type_hints(function)
            inspect.signature(function, eval_str=True)
    assert create_autospec(public) is not None
    assert create_autospec(public, instance=True) is not None


def test_data_can_be_copied(thread: Any) -> None:
    """Copies and pickles of `details`, messages and receipts are equal to the originals."""
    sent = thread.send("hello")
    [message, *_] = thread.messages()
    assert thread.details.closed_at is None or not thread.details.closed_at
    for one in (thread.details, sent, message):
        assert copy.copy(one) == one
        assert copy.deepcopy(one) == one
        assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - our own
    assert cattrs.unstructure(sent)["message_id"] == sent.message_id
    assert cattrs.unstructure(message)["text"] == "hello"


def test_objects_with_connections_cannot_be_copied(connect: Callable[..., Any]) -> None:
    """A copy or a pickle raises a TypeError, because tools expect this class. The error says what to do instead."""
    client = connect()
    thread = client.thread(THREAD_ID)
    for one in (client, client.threads, thread, thread.conversation(), client.api):
        live = getattr(one, "target", one)
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled") as caught:
                make(live)
            assert isinstance(caught.value, UsageError)
            assert "Make a client in each process" in str(caught.value.__notes__)


def test_errors_can_be_rebuilt_from_their_args() -> None:
    """An error that is rebuilt from its `args` keeps its class, its text and the status of its class. Some task queues
    store errors as JSON and rebuild them in this way.
    """
    kinds = [one for one in PUBLIC.values() if issubclass(one, FeatherError)]
    assert len(kinds) > 15
    for error in kinds:
        made = error("what failed")
        again = type(made)(*json.loads(json.dumps(made.args)))
        assert (str(again), again.args) == ("what failed", ("what failed",))
        assert getattr(again, "status_code", None) == getattr(made, "status_code", None)
        assert pickle.loads(pickle.dumps(again)).args == again.args  # noqa: S301 - our own
    assert featherhq.NotFoundError("no").status_code == 404
