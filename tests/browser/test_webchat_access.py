"""The web chat for everybody: axe-core, the keyboard alone, a phone. Also draws the pictures of the docs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import pytest

pytest.importorskip("playwright", reason="only `make test-browser` installs a browser")

from browser_services import ROOT, Services, Visitor
from playwright.sync_api import ViewportSize, expect

pytest_plugins = ["browser_services"]

Arrive = Callable[..., Visitor]
AXE: Final = next(ROOT.glob(".venv*/redocly/node_modules/axe-core/axe.min.js"))
IMAGES: Final = ROOT / "docs/images"
SCREENS: Final[dict[str, ViewportSize]] = {
    "desk": {"width": 800, "height": 560},
    "phone": {"width": 360, "height": 640},
}
# What the docs show.
PICTURES: Final = ("open-desk-light", "open-phone-light", "open-phone-dark", "lost-phone-light")
COLOURS: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
# Too long for the service: it refuses it.
TOO_LONG: Final = "long " * 14_000


# Notes each value of `aria-live`, and how many messages there were then.
WATCH: Final = """
    window.seen = [];
    const note = () => seen.push([log.getAttribute("aria-live"), document.querySelectorAll("#messages li").length]);
    new MutationObserver(note).observe(document, { subtree: true, attributeFilter: ["aria-live"] });
"""


def check(visitor: Visitor, name: str = "") -> None:
    """Check the page with axe-core, light and dark, on a desk and on a phone. No part of it is too wide.

    Args:
        visitor: Who sees it.
        name: The name of its pictures for the docs, if there are any.
    """
    page = visitor.page
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    for screen, size in SCREENS.items():
        page.set_viewport_size(size)
        for colours in COLOURS:
            page.emulate_media(color_scheme=colours)
            found = page.evaluate("axe.run().then((result) => result.violations)")
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
            if f"{name}-{screen}-{colours}" in PICTURES and os.environ.get("PICTURES"):
                page.screenshot(path=IMAGES / f"webchat-{name}-{screen}-{colours}.png")
        width = "[document.documentElement.scrollWidth <= innerWidth, log.scrollWidth <= log.clientWidth]"
        assert page.evaluate(width) == [True, True]


def refuse(visitor: Visitor) -> None:
    """Send a message that the service refuses."""
    visitor.page.get_by_label("Your message").evaluate("(field) => field.removeAttribute('maxlength')")
    visitor.say(TOO_LONG)
    expect(visitor.page.get_by_role("button", name="Try again")).to_be_visible()


def test_axe_finds_nothing(arrive: Arrive, services: Services) -> None:
    """axe-core finds nothing: before the first message, with messages, without a connection, with a message that was
    refused, and at the end of the chat.
    """
    visitor = arrive()
    visitor.is_told("Write a message to begin")
    check(visitor)
    visitor.say("Where is my order?")
    expect(visitor.page.locator("#messages li")).to_have_count(2)
    visitor.say("When will it arrive?")
    expect(visitor.page.locator("#messages li")).to_have_count(5)
    visitor.is_told("Connected")
    check(visitor, "open")
    services.web.kill()
    visitor.say("Thanks, bye")
    visitor.is_told("The connection is lost")
    check(visitor, "lost")
    services.web.start()
    expect(visitor.page.locator("#messages li")).to_have_count(7)
    refuse(visitor)
    check(visitor)
    services.close(visitor)
    visitor.say("Hello?")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    check(visitor)


def test_the_keyboard_is_enough(arrive: Arrive) -> None:
    """Tab goes through the messages, the field and the button. Enter sends, Shift+Enter makes a line, and the focus is
    visible and returns to the field.
    """
    visitor = arrive()
    keyboard, page = visitor.page.keyboard, visitor.page
    visitor.is_told("Write a message to begin")
    focused = "document.activeElement.id || document.activeElement.textContent"
    order = []
    for _ in range(3):
        keyboard.press("Tab")
        order.append(page.evaluate(focused))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert order == ["log", "text", "Send"]
    keyboard.press("Shift+Tab")
    keyboard.type("One")
    keyboard.press("Shift+Enter")
    keyboard.type("and two")
    keyboard.press("Enter")
    visitor.sees("One\nand two", "You said: One\nand two")
    keyboard.type("Three")
    keyboard.press("Tab")
    keyboard.press("Space")
    visitor.sees("One\nand two", "You said: One\nand two", "Three", "You said: Three")
    assert page.evaluate(focused) == "text"


def test_a_refused_message_can_be_sent_again(arrive: Arrive, services: Services) -> None:
    """A message that was refused says so, also after a reload. Its button sends it again, and others can be sent."""
    visitor = arrive()
    visitor.say("One")
    visitor.sees("One", "You said: One")
    refuse(visitor)
    assert visitor.page.locator(".failed .outcome").inner_text() == "Not sent."
    visitor.page.reload()
    button = visitor.page.get_by_role("button", name="Try again")
    button.click()
    assert visitor.page.evaluate("document.activeElement.id") == "text"
    expect(button).to_be_visible()
    visitor.say("Two")
    expect(visitor.page.get_by_text("You said: Two")).to_be_visible()
    assert services.texts(visitor) == ["One", "You said: One", "Two", "You said: Two"]


def test_new_messages_are_announced(arrive: Arrive) -> None:
    """The messages are a live region. While the page reads a history, it is silent."""
    visitor = arrive()
    log = visitor.page.get_by_role("log", name="Messages")
    visitor.say("One")
    visitor.sees("One", "You said: One")
    expect(log).to_have_attribute("aria-live", "polite")
    visitor.page.add_init_script(WATCH)
    visitor.page.reload()
    visitor.sees("One", "You said: One")
    expect(log).to_have_attribute("aria-live", "polite")
    assert visitor.page.evaluate("window.seen") == [["off", 0], ["polite", 2]]


def test_the_example_is_small() -> None:
    """The service is below 120 lines, and the page has no script or style in it."""
    folder = Path(ROOT / "examples/webchat")
    assert len((folder / "app.py").read_text("utf-8").splitlines()) < 120
    page = (folder / "static/page.html").read_text("utf-8")
    assert "<style" not in page
    assert page.count("<script") == page.count('<script type="module" src=') == 1
