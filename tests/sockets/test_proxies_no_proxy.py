"""NO_PROXY: which hosts its entries cover, and the warning about invalid entries."""

from __future__ import annotations

import logging

import pytest
from featherhq._http import proxies
from featherhq._http.proxies import proxy_for
from hypothesis import assume, given, strategies as st
from proxies_helpers import HTTP, HTTPS, PROXY


@pytest.fixture(autouse=True)
def _no_warning_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the warnings of other tests."""
    monkeypatch.setattr(proxies, "_warned", set())


def is_direct(base_url: str, no_proxy: str) -> bool:
    """Whether NO_PROXY makes requests to a base URL use no proxy."""
    return proxy_for(base_url, {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}) is None


@pytest.mark.parametrize(
    ("no_proxy", "base_url", "direct"),
    [
        # Separators of entries.
        ("", HTTPS, False),
        (" , ,", HTTPS, False),
        ("example.com,prod.featherhq.com", HTTPS, True),
        ("example.com , prod.featherhq.com ", HTTPS, True),
        ("example.com prod.featherhq.com", HTTPS, True),
        ("example.com\tother\nfeatherhq.com", HTTPS, True),
        ("localhost,fd00::/8", HTTPS, False),
        # All hosts.
        ("*", HTTPS, True),
        ("example.com,*", "https://[2001:db8::1]", True),
        ("*:443", HTTPS, True),
        ("*:443", HTTP, False),
        # Host names.
        ("featherhq.com", HTTPS, True),
        (".featherhq.com", HTTPS, True),
        ("*.featherhq.com", HTTPS, True),
        (".featherhq.com", "https://featherhq.com", True),
        ("*.featherhq.com", "https://featherhq.com", True),
        ("featherhq.com.", HTTPS, True),
        ("featherhq.com", "https://prod.featherhq.com.", True),
        ("FeatherHQ.com", "https://prod.FEATHERhq.com/path", True),
        ("com", HTTPS, True),
        ("herhq.com", HTTPS, False),
        ("prod.featherhq.com.evil", HTTPS, False),
        ("eu.prod.featherhq.com", HTTPS, False),
        ("my_host-1", "https://my_host-1", True),
        # International names, in Unicode or encoded.
        ("bücher.example", "https://www.xn--bcher-kva.example", True),
        ("XN--BCHER-KVA.example", "https://BÜCHER.example", True),
        ("bücher.example", "https://bücher.example", True),
        ("भारत.example", "https://भारत.example", True),
        ("bücher.example", "https://bucher.example", False),
        (f"{'ü' * 70}.example", f"https://{'ü' * 70}.example", True),
        # Ports.
        ("featherhq.com:443", HTTPS, True),
        ("featherhq.com:443", HTTP, False),
        ("featherhq.com:80", HTTP, True),
        (".featherhq.com:8080", "http://prod.featherhq.com:8080", True),
        ("*.featherhq.com:8080", HTTPS, False),
        ("featherhq.com", "http://prod.featherhq.com:8080", True),
        ("10.0.0.1:8080", "http://10.0.0.1:8080", True),
        ("10.0.0.1:8080", "http://10.0.0.1", False),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080", True),
        ("[2001:db8::1]:8080", "http://[2001:db8::1]", False),
        ("10.0.0.0/8:443", "https://10.9.9.9", True),
        ("[fd00::]/8:443", "http://[fd00::9]", False),
        ("[fd00::]/8:443", "https://[fd00::9]", True),
        # Addresses.
        ("10.0.0.1", "https://10.0.0.1", True),
        ("10.0.0.1", "https://10.0.0.10", False),
        ("[10.0.0.1]", "https://10.0.0.1", True),
        ("0.0.1", "https://10.0.0.1", False),
        ("10.0.0.1", "https://10.0.0.1.example.com", False),
        ("10.0.0.1", "https://a.10.0.0.1", False),
        ("2001:db8::1", "https://[2001:DB8:0::1]", True),
        ("[2001:db8::1]", "https://[2001:db8::1]", True),
        ("2001:db8::1:8080", "https://[2001:db8::1]:8080", False),
        ("2001:db8::1:8080", "https://[2001:db8::1:8080]", True),
        ("fe80::1", "https://[fe80::1%25eth0]", True),
        ("fe80::1%eth0", "https://[fe80::1]", True),
        ("::ffff:10.0.0.1", "https://10.0.0.1", True),
        ("10.0.0.1", "https://[::ffff:10.0.0.1]", True),
        # Networks.
        ("10.0.0.0/8", "https://10.255.0.1", True),
        ("10.1.2.3/8", "https://10.255.0.1", True),
        ("10.0.0.0/255.0.0.0", "https://10.255.0.1", True),
        ("10.0.0.0/8", "https://11.0.0.1", False),
        ("10.0.0.0/8", "https://[::ffff:10.0.0.1]", True),
        ("::ffff:10.0.0.0/104", "https://10.255.0.1", True),
        ("::ffff:10.0.0.0/104", "https://11.0.0.1", False),
        ("0.0.0.0/0", "https://10.0.0.1", True),
        ("0.0.0.0/0", "https://[2001:db8::1]", False),
        ("0.0.0.0/0", HTTPS, False),
        ("::/0", "https://10.0.0.1", False),
        ("fd00::/8", "https://[fdff::1]", True),
        ("[fd00::]/8", "https://[fdff::1]", True),
        ("[fd00::/8]", "https://[fdff::1]", True),
        ("fd00::/8", "https://[fe00::1]", False),
        # An invalid entry has no effect on the other entries.
        ("[::1,fd00::/999,featherhq.com", HTTPS, True),
    ],
)
def test_entries_of_no_proxy(no_proxy: str, base_url: str, direct: bool) -> None:
    """An entry of NO_PROXY is `*`, a name with all names below it, an address or a network. It may have a port."""
    assert is_direct(base_url, no_proxy) is direct


@given(st.ip_addresses(), st.integers(0, 128), st.booleans())
def test_a_network_in_no_proxy(address: object, bits: int, in_brackets: bool) -> None:
    """A network in NO_PROXY covers all its addresses, with brackets or without."""
    text = str(address)
    host = f"[{text}]" if ":" in text else text
    entry = f"{host if in_brackets else text}/{bits if ':' in text else bits % 33}"
    # ::/0 covers all of IPv6. But a mapped IPv4 address counts as IPv4.
    assume(not text.startswith("::ffff:"))
    assert is_direct(f"https://{host}", entry)


@pytest.mark.parametrize(
    "entry",
    [
        "fd00::/999",
        "10.0.0.0/33",
        "[::1",
        "::1]",
        "[]",
        "[featherhq.com]",
        "[::1]x",
        "[::1]/129",
        "host:port:x",
        "featherhq.com:",
        "featherhq.com:0",
        "featherhq.com:65536",
        "featherhq.com:" + "9" * 5000,
        "featherhq.com:\N{SUPERSCRIPT TWO}",
        "featherhq.com/8",
        "prod.*",
        "*featherhq.com",
        "**",
        ".",
        "*.",
        "..",
        ":443",
        "https://prod.featherhq.com",
        "featherhq.com;example.com",
        '"featherhq.com"',
        "<local>",
        "\ud800/",
    ],
)
def test_invalid_entries_of_no_proxy(entry: str, caplog: pytest.LogCaptureFixture) -> None:
    """Invalid entries are skipped. One warning on one line names them and the variable."""
    for _ in range(2):
        assert not is_direct(HTTPS, f"a.example,{entry}")
    assert caplog.record_tuples == [("featherhq", logging.WARNING, caplog.messages[0])]
    assert caplog.messages[0].startswith("NO_PROXY: skipped invalid entries: ")
    assert caplog.messages[0].isprintable()
    assert len(caplog.messages[0]) < 250
    assert len(entry) > 100 or repr(entry) in caplog.messages[0]
    assert "a.example" not in caplog.text


def test_one_warning_for_each_value(caplog: pytest.LogCaptureFixture) -> None:
    """Each value gives one warning. It names all invalid entries of the value, and shows no password."""
    for value in ("[::1,[::2", "[::1,[::2", "[::3", "http://user:secret@example.com"):
        proxy_for(HTTPS, {"ALL_PROXY": PROXY, "no_proxy": value})
    begin = "no_proxy: skipped invalid entries: "
    assert caplog.messages == [begin + "'[::1', '[::2'", begin + "'[::3'", begin + "'example.com'"]


def test_no_warning_without_a_proxy(caplog: pytest.LogCaptureFixture) -> None:
    """NO_PROXY has no effect if there is no proxy or the host is a loopback host. So there is no warning."""
    assert proxy_for(HTTPS, {"HTTP_PROXY": PROXY, "NO_PROXY": "[::1"}) is None
    assert proxy_for("https://localhost", {"ALL_PROXY": PROXY, "NO_PROXY": "[::1"}) is None
    assert caplog.messages == []
