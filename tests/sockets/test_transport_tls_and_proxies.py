"""Connections over TLS and through proxies, with the settings of the environment."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest
import trustme
from conftest import THREAD_ID, Kind
from featherhq import APIConnectionError, APITimeoutError, ConfigurationError
from raw_server import Peer, TLSPeer

pytest_plugins = ["transport_helpers"]


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """The TLS settings of a server with a certificate, and the file with the authority's certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "feather.example").configure_cert(context)
    return context, str(tmp_path / "authority.pem")


def test_certificates_from_the_environment(
    kind: Kind, peers: list[Peer], tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is used. Without it, the certificate of an unknown authority is an error, and nothing was sent."""
    peers.append(TLSPeer(tls=tls[0]))
    url = f"https://localhost:{peers[0].port}"
    with pytest.raises(APIConnectionError, match=r"could not connect: .*certificate verify failed") as caught:
        kind.client(base_url=url, max_retries=0, timeout=5).thread(THREAD_ID).send("hello")
    assert not isinstance(caught.value, APITimeoutError)
    assert "Nothing reached Feather" in str(caught.value.__notes__)
    assert peers[0].seen == []
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    assert kind.client(base_url=url).thread(THREAD_ID).send("hello").message_id == "m-1"
    with pytest.raises(APIConnectionError, match="certificate"):
        kind.client(base_url=url.replace("localhost", "127.0.0.1"), max_retries=0).thread(THREAD_ID).send("hello")


def test_a_missing_certificate_file(kind: Kind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If SSL_CERT_FILE names a missing file, the call raises a ConfigurationError before any request."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="invalid proxy or TLS settings"):
        kind.client().thread(THREAD_ID).send("hello")


@pytest.mark.parametrize(("name", "value"), [("HTTPS_PROXY", "ftp://proxy"), ("ALL_PROXY", "socks5://127.0.0.1:1")])
def test_unusable_proxies(kind: Kind, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A proxy of an unknown kind is an error. So is a SOCKS proxy without httpx's extra for SOCKS."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"{name}: expected a proxy|invalid proxy or TLS settings") as caught:
        kind.client().thread(THREAD_ID).send("hello")
    assert name in f"{caught.value} {caught.value.__notes__}"


@pytest.mark.parametrize("user", ["", "user:p%40ss@"])
def test_an_http_proxy(kind: Kind, peers: list[Peer], monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    """The proxy gets requests with whole URLs, and its own credentials if the environment has them."""
    peers.append(Peer())
    monkeypatch.setenv("HTTP_PROXY", f"http://{user}127.0.0.1:{peers[0].port}")
    client = kind.client(base_url="http://feather.invalid/base")
    for text in ("hello", "again"):
        assert client.thread(THREAD_ID).send(text).message_id == "m-1"
    credentials = b"proxy-authorization: basic " + base64.b64encode(b"user:p@ss").lower()
    for request in peers[0].seen:
        assert request.startswith(b"POST http://feather.invalid/base/api/v1/threads/")
        assert b"host: feather.invalid\r\n" in request.lower()
        assert (credentials in request.lower()) == bool(user)
        assert (b"proxy-authorization" in request.lower()) == bool(user)
    assert peers[0].connections == 1


@pytest.mark.parametrize("user", ["", "user:p%40ss@"])
def test_an_https_host_behind_a_proxy(
    kind: Kind, peers: list[Peer], tls: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """The proxy gets its credentials and no API key when it opens the tunnel. Requests in the tunnel have no
    credentials of the proxy.
    """
    peers.append(Peer(tls=tls[0]))
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    monkeypatch.setenv("HTTPS_PROXY", f"http://{user}127.0.0.1:{peers[0].port}")
    client = kind.client("the-api-key", base_url="https://feather.example")
    for text in ("hello", "again"):
        assert client.thread(THREAD_ID).send(text).message_id == "m-1"
    tunnel, *requests = peers[0].seen
    assert tunnel.startswith(b"CONNECT feather.example:443")
    assert b"the-api-key" not in tunnel
    assert (b"basic " + base64.b64encode(b"user:p@ss").lower() in tunnel.lower()) == bool(user)
    assert len(requests) == 2
    for request in requests:
        assert request.startswith(b"POST /api/v1/threads/")
        assert b"proxy-authorization" not in request.lower()


def test_a_proxy_that_refuses(kind: Kind, peers: list[Peer], monkeypatch: pytest.MonkeyPatch, dead_url: str) -> None:
    """If a proxy refuses or cannot be reached, nothing reached Feather. So even a POST is sent again. The error says
    why.
    """
    peers.append(Peer(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
    for url, what in (
        (f"http://127.0.0.1:{peers[0].port}", "the proxy refused the connection: .*Proxy Authentication Required"),
        (dead_url, "could not connect"),
    ):
        monkeypatch.setenv("HTTPS_PROXY", url)
        with pytest.raises(APIConnectionError, match=what) as caught:
            kind.client(base_url="https://feather.example", max_retries=1, timeout=5).thread(THREAD_ID).send("hello")
        assert caught.value.attempts == 2
        assert "Nothing reached Feather" in str(caught.value.__notes__)
