"""The calls of the hostile tests. Each returns the value that a case compares with its allowed results."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest
from conftest import AGENT_ID, THREAD_ID
from featherhq import ReplyTimeoutError
from hostile_case import Case
from hostile_watch import Watch


def get(client: Any, watch: Watch, case: Case) -> object:
    """Get a thread, and return its id."""
    with watch.within(case.timeout):
        return client.threads.get(THREAD_ID).details.id


def create(client: Any, watch: Watch, case: Case) -> object:
    """Create a thread, and return its id."""
    with watch.within(case.timeout):
        return client.threads.create(AGENT_ID).id


def use(client: Any, watch: Watch, case: Case) -> object:
    """Create a thread, and send and ask in it."""
    with watch.within(case.timeout):
        thread = client.threads.create(AGENT_ID)
    if not repr(thread).isprintable():
        watch.faults.append("repr(thread) is not printable")
    with watch.within(case.timeout):
        thread.send("hello")
    with watch.within(case.timeout), pytest.raises(ReplyTimeoutError) as caught:
        thread.ask("hello")
    watch.judge(caught.value)
    return "used"


def send(client: Any, watch: Watch, case: Case) -> object:
    """Send a message, and return its id."""
    with watch.within(case.timeout):
        sent = client.thread(THREAD_ID).send("hello")
    if not repr(sent).isprintable():
        watch.faults.append("repr(receipt) is not printable")
    return sent.message_id


def list_(client: Any, watch: Watch, case: Case) -> object:
    """List the messages, and return their texts. If there are very many, return their number."""
    with watch.within(case.timeout):
        listed = list(itertools.islice(client.thread(THREAD_ID).messages(), 1_000_000))
        return [said.text for said in listed] if len(listed) < 1000 else len(listed)


def ask(client: Any, watch: Watch, case: Case) -> object:
    """Ask in a thread, and return the text of the reply."""
    with watch.within(case.timeout):
        return client.thread(THREAD_ID).ask("hello").text


@contextmanager
def conversation(client: Any, watch: Watch, case: Case) -> Iterator[Any]:
    """Open a conversation. Check the time of its opening and of its closing."""
    with ExitStack() as after:
        chat = client.thread(THREAD_ID).conversation()
        with watch.within(case.timeout):
            after.enter_context(chat)
        yield chat
        with watch.within(0.2):
            after.close()


def replies(client: Any, watch: Watch, case: Case) -> object:
    """Read up to ten messages of a conversation, and return their texts."""
    texts: list[str] = []
    with conversation(client, watch, case) as chat:
        coming = iter(chat.replies(timeout=case.patience))
        while len(texts) < 10:
            with watch.within(case.patience):
                said = next(coming, None)
            if said is None:
                break
            texts.append(said.text)
    return texts


def chat_ask(client: Any, watch: Watch, case: Case) -> object:
    """Ask in a conversation, and return the text of the reply."""
    with conversation(client, watch, case) as chat, watch.within(case.timeout):
        return chat.ask("hello").text


CALLS: Final[dict[str, Callable[[Any, Watch, Case], object]]] = {
    "get": get,
    "create": create,
    "use": use,
    "send": send,
    "list": list_,
    "ask": ask,
    "replies": replies,
    "chat_ask": chat_ask,
}
