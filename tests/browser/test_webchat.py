"""The web chat of `examples/webchat` in a real Chromium, with a real sandbox and a real web server."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="only `make test-browser` installs a browser")

from browser_services import Services, Visitor
from playwright.sync_api import expect
from sandbox_process import SLOW

pytest_plugins = ["browser_services"]

Arrive = Callable[..., Visitor]
ORDER, LEFT = "Where is my order?", "Order 1042 left our warehouse this morning."


def echo(text: str) -> str:
    return f"You said: {text}"


def assert_sent_once(services: Services, visitor: Visitor, *texts: str) -> None:
    """Check that the thread has each of these messages of the visitor once, and one reply to each."""
    assert Counter(services.texts(visitor)) == Counter([*texts, *map(echo, texts)])


def test_a_reload_keeps_the_chat(arrive: Arrive, services: Services) -> None:
    """A visitor asks and gets the reply. After a reload, the page shows the same messages, and the chat goes on."""
    visitor = arrive()
    visitor.is_told("Write a message to begin")
    visitor.say(ORDER)
    visitor.sees(ORDER, LEFT)
    visitor.page.reload()
    visitor.sees(ORDER, LEFT)
    visitor.say("Hm")
    visitor.sees(ORDER, LEFT, "Hm", echo("Hm"))
    assert services.texts(visitor) == [ORDER, LEFT, "Hm", echo("Hm")]
    assert visitor.page.locator(".outcome").all_inner_texts() == ["Sent", "Sent"]


def test_the_key_stays_in_the_server(arrive: Arrive, services: Services, tmp_path: Path) -> None:
    """Nothing that a browser sends, receives or keeps has the API key or the address of Feather in it."""
    archive = tmp_path / "archive.har"
    visitor = arrive(record_har_path=archive, record_har_content="embed")
    visitor.say(ORDER)
    visitor.sees(ORDER, LEFT)
    kept = f"{visitor.context.storage_state()} {visitor.page.content()} {visitor.events} {visitor.requests}"
    assert LEFT in kept
    visitor.context.close()
    received = archive.read_text("utf-8")
    assert "page.js" in received
    for secret in (services.key, services.feather_url):
        assert secret not in kept + received


def test_visitors_are_apart(arrive: Arrive) -> None:
    """Two visitors see their own messages only, and cannot reach the chat of the other, although they know its id."""
    ada, ben = arrive(), arrive()
    ada.say("I am Ada")
    ben.say("I am Ben")
    ada.sees("I am Ada", echo("I am Ada"))
    ben.sees("I am Ben", echo("I am Ben"))
    theirs = f"{ada.page.url}chats/{ada.chat()}"
    for request in (f"fetch('{theirs}/messages')", f"fetch('{theirs}/events')"):
        assert ada.page.evaluate(f"{request}.then((response) => response.status)") == 200
        assert ben.page.evaluate(f"{request}.then((response) => response.status)") == 404
    post = (
        f"fetch('{theirs}/messages', {{method: 'POST', body: '{{}}', headers: {{'Content-Type': 'application/json'}}}})"
    )
    assert ben.page.evaluate(f"{post}.then((response) => response.status)") == 404


def test_other_sites_are_refused(arrive: Arrive) -> None:
    """A request that a page of another site makes in the visitor's name changes nothing."""
    visitor = arrive()
    visitor.say(ORDER)
    visitor.sees(ORDER, LEFT)
    other, statuses = visitor.context.new_page(), []
    other.on("response", lambda response: statuses.append((response.request.method, response.status)))
    # A document without rules of its own, on another site.
    other.goto(visitor.page.url.replace("127.0.0.1", "localhost") + "static/page.css")
    options = "{method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'}"
    other.evaluate(f"fetch('{visitor.page.url}chats', {options}).then(() => 0)")
    assert ("POST", 403) in statuses
    # JSON needs the consent of the server, which it does not give.
    options = "{method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}}"
    assert other.evaluate(f"fetch('{visitor.page.url}chats', {options}).catch(() => 'refused')") == "refused"
    visitor.page.reload()
    visitor.sees(ORDER, LEFT)


def test_two_tabs_show_the_same(arrive: Arrive) -> None:
    """Tabs of one visitor share the chat: what is said in one is seen in the other, also the visitor's own messages."""
    visitor = arrive()
    visitor.say("One")
    visitor.sees("One", echo("One"))
    tab = visitor.open()
    visitor.sees("One", echo("One"), page=tab)
    visitor.say("Two")
    for page in (visitor.page, tab):
        visitor.sees("One", echo("One"), "Two", echo("Two"), page=page)


def test_a_stream_resumes_by_itself(arrive: Arrive, services: Services) -> None:
    """A reply that is made while the web server is restarted comes by the browser's own `Last-Event-ID`."""
    visitor = arrive()
    visitor.say(f"Think {SLOW}")
    expect(visitor.page.locator(".outcome")).to_have_text("Sent")
    visitor.is_told("Connected")
    first = visitor.events[0]
    assert first["eventName"] == "ready"
    took = services.web.stop(signal.SIGTERM)
    assert took < 3
    visitor.is_told("The connection is lost")
    services.web.start()
    visitor.sees(f"Think {SLOW}", echo(f"Think {SLOW}"))
    assert first["eventId"] in [headers.get("Last-Event-ID") for headers in visitor.requests]
    assert_sent_once(services, visitor, f"Think {SLOW}")


@pytest.mark.parametrize("name", ["web", "sandbox"])
def test_a_server_is_killed(arrive: Arrive, services: Services, name: str) -> None:
    """A server is killed while the visitor writes and a reply is due. When it is back, each message is on the screen
    once, in the order of the thread, and in the thread once. The same holds after a reload.
    """
    server = getattr(services, name)
    visitor = arrive()
    texts = ["One", f"Two {SLOW}", "Three", "Four", "Three", "Five"]
    for number, text in enumerate(texts):
        visitor.say(text)
        if number == 2:
            server.kill()
    visitor.page.wait_for_timeout(500)
    server.start()
    expect(visitor.page.get_by_text("Sent", exact=True)).to_have_count(len(texts), timeout=40_000)
    expect(visitor.page.locator("#messages li")).to_have_count(2 * len(texts), timeout=40_000)
    assert_sent_once(services, visitor, *texts)
    visitor.page.reload()
    visitor.sees(*services.texts(visitor))


def test_a_message_waits_for_the_server(arrive: Arrive, services: Services) -> None:
    """A message that is written while the server is away survives a reload of the page, and is sent once."""
    visitor = arrive()
    visitor.say("One")
    visitor.sees("One", echo("One"))
    services.sandbox.kill()
    visitor.say("Two")
    visitor.sees("One", echo("One"), "Two")
    visitor.page.reload()
    visitor.sees("Two")
    expect(visitor.page.locator(".outcome")).to_have_text("Sending…")
    services.sandbox.start()
    visitor.sees("One", echo("One"), "Two", echo("Two"))
    assert_sent_once(services, visitor, "One", "Two")


def test_a_chat_that_has_ended(arrive: Arrive, services: Services) -> None:
    """If the thread is closed, the page says so when a message is refused, and a new chat can be started."""
    visitor = arrive()
    visitor.say("One")
    visitor.sees("One", echo("One"))
    services.close(visitor)
    visitor.say("Two")
    expect(visitor.page.get_by_role("alert")).to_contain_text("This chat has ended.")
    button = visitor.page.get_by_role("button", name="Start a new chat")
    expect(button).to_be_focused()
    button.click()
    visitor.sees()
    visitor.say("Three")
    visitor.sees("Three", echo("Three"))


def test_texts_are_only_texts(arrive: Arrive) -> None:
    """A message with HTML in it is shown as it was written, and runs nothing."""
    visitor = arrive()
    text = "<img src=x onerror=\"document.title='hacked'\"> & <b>bold</b>"
    visitor.say(text)
    visitor.sees(text, echo(text))
    assert visitor.page.title() == "Chat"
