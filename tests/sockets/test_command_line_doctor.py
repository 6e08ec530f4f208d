"""`featherhq doctor`: each problem is named, with what to do, and gives its exit status."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from featherhq._cli.exits import Exit
from featherhq.sandbox import Html, Status
from raw_server import Peer, TLSPeer, black_hole, json_answer

if TYPE_CHECKING:
    from command_line_helpers import Command, Seat

pytest_plugins = ["command_line_helpers", "transport_helpers"]
EMPTY = json_answer({"threads": []})


def findings(command: Command, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run the doctor. Returns the exit status, and the state and the text of each check."""
    status, out, err = command("doctor", "--json", *arguments)
    assert err == ""
    told = [json.loads(line) for line in out.splitlines()]
    return status, {one["check"]: (one["state"], f"{one['message']} {one['hint']}") for one in told}


def test_nothing_is_wrong(command: Command) -> None:
    """All checks are printed, in order, and the exit status is 0. No more than four requests are made."""
    status, out, err = command("doctor")
    assert (status, err) == (0, "")
    assert [line.split(":")[0].split(maxsplit=1) for line in out.splitlines()] == [
        ["ok", "key"],
        ["ok", "url"],
        ["ok", "proxy"],
        ["ok", "connection"],
        ["skipped", "tls"],
        ["ok", "clock"],
        ["ok", "access"],
        ["ok", "latency"],
        ["ok", "rate limit"],
    ]
    assert [request.operation for request in command.sandbox.requests] == ["listThreads"] * 4


@pytest.mark.parametrize("no_color", ["", "1"])
def test_on_a_terminal(command: Command, sit: Callable[..., Seat], no_color: str) -> None:
    """Long lines are broken between words, below their text. The states have colors, unless NO_COLOR is set."""
    command.environ(FEATHER_API_KEY="wrong")
    seat = sit("doctor", columns=40, COLUMNS="40", NO_COLOR=no_color)
    assert seat.left() == 3
    screen = seat.terminal.wait_for("revoked.")
    indented = screen.partition("problem  access: GET")[2].splitlines()[1:]
    assert len(indented) > 5
    assert all(line.startswith(" " * 9) for line in indented)
    assert (b"\x1b[32mok" in seat.terminal.raw) == (not no_color)


def test_no_key(command: Command) -> None:
    """The other checks are made, and the exit status is that of the first problem."""
    command.environ(FEATHER_API_KEY=None)
    status, found = findings(command)
    assert status == 2
    assert found["key"][0] == "problem"
    assert found["clock"][0] == "ok"
    assert found["access"] == ("skipped", "the server wants a key, as it should, but there is none None")


@pytest.mark.parametrize(
    ("check", "environ", "text", "status"),
    [
        ("url", {"FEATHER_BASE_URL": "ftp://x"}, "is not absolute", 2),
        ("proxy", {"FEATHER_BASE_URL": "https://x.example", "HTTPS_PROXY": "x://u:secret@p"}, "HTTPS_PROXY", 2),
        ("connection", {"FEATHER_BASE_URL": "http://x.invalid"}, "the name x.invalid of the server does not", 7),
        ("connection", {"FEATHER_BASE_URL": "http://127.0.0.1:9"}, "no connection to the server 127.0.0.1:9", 7),
        (
            "connection",
            {"FEATHER_BASE_URL": "http://x.example", "HTTP_PROXY": "http://u:secret@127.0.0.1:9"},
            "no connection to the proxy 127.0.0.1:9: [Errno 111] Connection refused Check HTTP_PROXY",
            7,
        ),
    ],
)
def test_nothing_can_be_reached(command: Command, check: str, environ: Any, text: str, status: int) -> None:
    """The check that fails is the last one. It says what to do, and shows no password."""
    command.environ(**environ)
    ended, found = findings(command)
    assert ended == status
    assert list(found)[-1] == check
    assert found[check][0] == "problem"
    assert text in found[check][1]
    assert "secret" not in str(found)


def test_a_connection_that_is_never_accepted(command: Command) -> None:
    """The check ends within the timeout."""
    with black_hole() as port:
        status, found = findings(command, "--base-url", f"http://127.0.0.1:{port}", "--timeout", "0.2")
    assert status == 7
    assert "timed out" in found["connection"][1]


def test_a_proxy_that_works(command: Command, peers: list[Peer]) -> None:
    """The proxy is named with its variable, and without its password. Without TLS, the key is not safe."""
    peers.append(proxy := Peer(EMPTY))
    command.environ(FEATHER_BASE_URL="http://x.example", HTTP_PROXY=f"http://u:secret@127.0.0.1:{proxy.port}")
    status, found = findings(command)
    assert status == 0
    assert found["url"] == (
        "note",
        "http://x.example: the API key is sent without encryption Use https://, if you can.",
    )
    assert found["proxy"] == ("ok", f"http://127.0.0.1:{proxy.port} (HTTP_PROXY) None")
    assert found["connection"][1].startswith(f"to the proxy 127.0.0.1:{proxy.port} in ")
    assert found["clock"][0] == "note"


@pytest.mark.parametrize(
    ("ahead", "state", "text"),
    [
        (0, "ok", "within 3 s of the server's"),
        (60, "note", "behind the server It matters (from 3 s) only if responses have no date"),
        (-60, "note", "ahead of the server"),
        (-3600, "problem", "Set the clock"),
    ],
)
def test_the_clock(command: Command, peers: list[Peer], ahead: int, state: str, text: str) -> None:
    """The difference from the server's `Date` is told, and from which difference it matters."""

    def answer(*_: object) -> bytes:
        date = formatdate(time.time() + ahead, usegmt=True)
        return EMPTY.replace(b"\r\n", f"\r\nDate: {date}\r\n".encode(), 1)

    peers.append(server := Peer(answer))
    status, found = findings(command, "--base-url", server.url)
    assert found["clock"][0] == state
    assert text in found["clock"][1]
    assert status == (1 if state == "problem" else 0)


@pytest.fixture
def tls_server(peers: list[Peer]) -> Callable[..., tuple[str, trustme.CA]]:
    """A function that starts a server with TLS. Returns its URL and its authority."""

    def start(*names: str, **options: Any) -> tuple[str, trustme.CA]:
        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(*names, **options).configure_cert(context)
        peers.append(server := TLSPeer(EMPTY, tls=context))
        return f"https://127.0.0.1:{server.port}", authority

    return start


@pytest.mark.parametrize(
    ("names", "expires", "is_trusted", "text"),
    [
        (["127.0.0.1"], None, False, "from an authority that this machine does not know"),
        (["127.0.0.1"], dt.datetime(2020, 1, 1, tzinfo=dt.UTC), True, "the certificate has expired"),
        (["10.0.0.1"], None, True, "the certificate is for another host"),
        (["127.0.0.1"], None, True, ""),
    ],
)
def test_certificates(
    command: Command,
    tls_server: Callable[..., tuple[str, trustme.CA]],
    tmp_path: Path,
    names: list[str],
    expires: dt.datetime | None,
    is_trusted: bool,
    text: str,
) -> None:
    """What is wrong with the certificate is told, and what to do. SSL_CERT_FILE takes another authority."""
    url, authority = tls_server(*names, not_after=expires)
    if is_trusted:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        command.environ(SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    status, found = findings(command, "--base-url", url)
    assert found["tls"][0] == ("problem" if text else "ok")
    assert text in found["tls"][1]
    assert status == (7 if text else 0)
    assert is_trusted or "SSL_CERT_FILE" in found["tls"][1]


def test_no_tls_at_the_port(command: Command) -> None:
    """If the server does not speak TLS, that is told."""
    status, found = findings(command, "--base-url", command.sandbox.url.replace("http:", "https:"))
    assert status == 7
    assert "If not, the URL begins with http://" in found["tls"][1]


def test_a_certificate_file_that_is_not_there(command: Command) -> None:
    """The problem is one of TLS, and a wrong setting."""
    command.environ(SSL_CERT_FILE="/nowhere.pem")
    status, found = findings(command, "--base-url", command.sandbox.url.replace("http:", "https:"))
    assert status == 2
    assert "Check SSL_CERT_FILE" in found["tls"][1]


def test_a_server_that_hangs_up(command: Command, peers: list[Peer]) -> None:
    """Nothing is claimed about TLS. The problem is one of access."""
    peers.append(server := Peer(lambda *_: None))
    status, found = findings(command, "--base-url", server.url)
    assert status == 7
    assert found["access"][0] == "problem"
    assert "clock" not in found


def test_a_server_that_hangs_up_behind_tls(command: Command, peers: list[Peer], tmp_path: Path) -> None:
    """The connection was encrypted, but nothing came, so nothing is said about the certificate."""
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    command.environ(SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    peers.append(server := TLSPeer(lambda *_: None, tls=context))
    status, found = findings(command, "--base-url", f"https://127.0.0.1:{server.port}")
    assert status == 7
    assert found["tls"][0] == "skipped"


@pytest.mark.parametrize(
    ("fault", "check", "status"),
    [
        (Status(403), "access", Exit.KEY_REFUSED),
        (Status(404), "access", Exit.NOT_FOUND),
        (Html(200), "access", Exit.NOT_DELIVERED),
        (Status(500), "access", Exit.NOT_DELIVERED),
        (Status(429), "rate limit", Exit.RATE_LIMIT),
    ],
)
@pytest.mark.parametrize("before", [0, 2])
def test_the_server_refuses(command: Command, fault: Any, check: str, status: Exit, before: int) -> None:
    """A refusal of the first request or of a later one is a problem. What is no Feather leads to the URL."""
    if before:
        command.sandbox.inject("listThreads", Status(200, body=b'{"threads": []}'), times=before)
    command.sandbox.inject("listThreads", fault, times=9)
    ended, found = findings(command)
    assert ended == status
    assert list(found)[-1] == check
    assert found[check][0] == "problem"
    assert ("check the URL" in found[check][1]) == (fault in (Status(404), Html(200)))
