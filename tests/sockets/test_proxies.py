"""Which proxy requests go through: the variables, what NO_PROXY leaves out, and proxies that cannot be."""

from __future__ import annotations

import logging
import os
import pickle
import traceback
from collections.abc import Iterator, Mapping
from unittest.mock import patch
from urllib.parse import quote
from urllib.request import getproxies_environment

import httpx
import pytest
from featherhq._http import proxies
from featherhq._http.proxies import Proxy, proxy_for
from featherhq.errors import ConfigurationError
from hypothesis import assume, example, given, strategies as st

HTTPS = "https://prod.featherhq.com"
HTTP = "http://prod.featherhq.com"
PROXY = "http://proxy:3128"
OTHER = "http://other:3128"


@pytest.fixture(autouse=True)
def _no_warning_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "_warned", set())


def is_direct(base_url: str, no_proxy: str) -> bool:
    return proxy_for(base_url, {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}) is None


@pytest.mark.parametrize(
    ("base_url", "environ", "variable"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        (HTTPS, {"https_proxy": PROXY}, "https_proxy"),
        (HTTPS, {"https_proxy": PROXY, "HTTPS_PROXY": OTHER}, "https_proxy"),
        (HTTPS, {"HTTPS_PROXY": PROXY, "ALL_PROXY": OTHER}, "HTTPS_PROXY"),
        (HTTPS, {"HTTPS_PROXY": PROXY, "all_proxy": OTHER}, "HTTPS_PROXY"),
        (HTTPS, {"HTTP_PROXY": OTHER}, None),
        (HTTPS, {"HTTP_PROXY": OTHER, "ALL_PROXY": PROXY}, "ALL_PROXY"),
        (HTTP, {"HTTP_PROXY": PROXY, "HTTPS_PROXY": OTHER}, "HTTP_PROXY"),
        (HTTP, {"HTTPS_PROXY": OTHER}, None),
        (HTTP, {"HTTPS_PROXY": OTHER, "all_proxy": PROXY}, "all_proxy"),
        ("HTTPS://PROD.FEATHERHQ.COM", {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        # An empty value, and one of white space, is none; that of the lower-case name too.
        (HTTPS, {"HTTPS_PROXY": ""}, None),
        (HTTPS, {"HTTPS_PROXY": " \n"}, None),
        (HTTPS, {"https_proxy": "", "HTTPS_PROXY": OTHER}, None),
        (HTTPS, {"https_proxy": "", "HTTPS_PROXY": OTHER, "ALL_PROXY": PROXY}, "ALL_PROXY"),
        # In a CGI process, HTTP_PROXY is a header of the request.
        (HTTP, {"HTTP_PROXY": OTHER, "REQUEST_METHOD": "GET"}, None),
        (HTTP, {"HTTP_PROXY": OTHER, "REQUEST_METHOD": ""}, None),
        (HTTP, {"http_proxy": PROXY, "HTTP_PROXY": OTHER, "REQUEST_METHOD": "GET"}, "http_proxy"),
        (HTTP, {"HTTP_PROXY": OTHER, "ALL_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "ALL_PROXY"),
        (HTTPS, {"HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "HTTPS_PROXY"),
        # The same goes for what is left out.
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "*", "no_proxy": ""}, "HTTPS_PROXY"),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "", "no_proxy": "*"}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
    ],
)
def test_which_variable_counts(base_url: str, environ: dict[str, str], variable: str | None) -> None:
    """That of the URL's scheme, then ALL_PROXY; the lower-case name before the upper-case one."""
    assert proxy_for(base_url, environ) == (None if variable is None else Proxy(PROXY, PROXY, variable))


@given(
    st.dictionaries(
        st.sampled_from(
            [name for kind in ("http", "https", "all") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
            + ["REQUEST_METHOD"]
        ),
        st.sampled_from(["", "http://a:1", "http://b:2", "http://c:3"]),
    ),
    st.sampled_from(["http", "https"]),
)
def test_the_same_variable_as_urllib(environ: dict[str, str], scheme: str) -> None:
    """Whatever is set, empty or not."""
    with patch.dict(os.environ, environ, clear=True):
        named = getproxies_environment()
    found = proxy_for(f"{scheme}://prod.featherhq.com", environ)
    assert (found and found.url) == (named.get(scheme) or named.get("all"))


@pytest.mark.parametrize(
    ("environ", "system", "expected"),
    [
        ({}, {"https": PROXY}, PROXY),
        ({}, {"all": PROXY}, PROXY),
        ({"HTTPS_PROXY": ""}, {"https": f" {PROXY} "}, PROXY),
        ({"PATH": "/bin"}, {"https": PROXY, "no": "example.com"}, PROXY),
        ({}, {"https": PROXY, "no": "featherhq.com"}, None),
        ({}, {"http": PROXY}, None),
        ({}, {"https": " "}, None),
        ({"ALL_PROXY": PROXY}, {"https": OTHER}, PROXY),
        ({"HTTP_PROXY": OTHER}, {"https": OTHER}, None),
        ({"NO_PROXY": "example.com"}, {"https": OTHER}, None),
    ],
)
def test_the_systems_settings(environ: dict[str, str], system: dict[str, str], expected: str | None) -> None:
    """They count where no variable names anything, as with urllib."""
    found = proxy_for(HTTPS, environ, system)
    assert (found and found.shown) == expected


def test_errors_name_the_systems_settings() -> None:
    """Since there is no variable to name."""
    found = proxy_for(HTTPS, {}, {"https": PROXY})
    assert found is not None
    assert found.variable == "the system's settings"
    with pytest.raises(ConfigurationError, match=r"^the system's settings: expected a proxy "):
        proxy_for(HTTPS, {}, {"https": "socks4://proxy:1080"})


class WindowsVariables(Mapping[str, str]):
    """As `os.environ` is on Windows: it finds a variable by its name in either case."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.upper()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_names_without_case() -> None:
    """Where names have no case, HTTP_PROXY is not taken for http_proxy in a CGI process."""
    variables = {"HTTP_PROXY": PROXY}
    found = proxy_for(HTTP, WindowsVariables(variables))
    assert found is not None
    assert found.variable == "HTTP_PROXY"
    assert len(WindowsVariables(variables)) == 1
    assert proxy_for(HTTP, WindowsVariables({**variables, "REQUEST_METHOD": "GET"})) is None


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("api.localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("[::1]", True),
        ("[::1%25lo]", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("[::ffff:127.0.0.2]", True),
        ("notlocalhost", False),
        ("localhost.example.com", False),
        ("128.0.0.1", False),
        ("[::2]", False),
        ("[::ffff:128.0.0.1]", False),
    ],
)
def test_loopback_goes_through_no_proxy(host: str, direct: bool) -> None:
    """Whatever the variables name: no proxy could reach this machine by that name. They are not even read."""
    for scheme in ("http", "https"):
        for base_url in (f"{scheme}://{host}", f"{scheme}://{host}:8080/path"):
            assert (proxy_for(base_url, {"ALL_PROXY": PROXY}) is None) is direct
    if direct:
        assert proxy_for(f"http://{host}", {"ALL_PROXY": "nonsense://"}) is None


@pytest.mark.parametrize(
    ("no_proxy", "base_url", "direct"),
    [
        # How entries are separated.
        ("", HTTPS, False),
        (" , ,", HTTPS, False),
        ("example.com,prod.featherhq.com", HTTPS, True),
        ("example.com , prod.featherhq.com ", HTTPS, True),
        ("example.com prod.featherhq.com", HTTPS, True),
        ("example.com\tother\nfeatherhq.com", HTTPS, True),
        ("localhost,fd00::/8", HTTPS, False),
        # Everything.
        ("*", HTTPS, True),
        ("example.com,*", "https://[2001:db8::1]", True),
        ("*:443", HTTPS, True),
        ("*:443", HTTP, False),
        # Names.
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
        # International names, either way round.
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
        # What cannot be read does not keep the others from being read.
        ("[::1,fd00::/999,featherhq.com", HTTPS, True),
    ],
)
def test_what_is_left_out(no_proxy: str, base_url: str, direct: bool) -> None:
    """Of NO_PROXY: all, names with what is below them, addresses and networks, each for one port or for any."""
    assert is_direct(base_url, no_proxy) is direct


@given(st.ip_addresses(), st.integers(0, 128), st.booleans())
def test_a_network_leaves_out_its_addresses(address: object, bits: int, in_brackets: bool) -> None:
    """Each network that an address is of, written in either way."""
    text = str(address)
    host = f"[{text}]" if ":" in text else text
    entry = f"{host if in_brackets else text}/{bits if ':' in text else bits % 33}"
    # ::/0 has all of IPv6; but what is mapped counts as IPv4.
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
def test_entries_that_cannot_be_read(entry: str, caplog: pytest.LogCaptureFixture) -> None:
    """They are skipped, with one warning in one line that names them and the variable."""
    for _ in range(2):
        assert not is_direct(HTTPS, f"a.example,{entry}")
    assert caplog.record_tuples == [("featherhq", logging.WARNING, caplog.messages[0])]
    assert caplog.messages[0].startswith("NO_PROXY: skipped invalid entries: ")
    assert caplog.messages[0].isprintable()
    assert len(caplog.messages[0]) < 250
    assert len(entry) > 100 or repr(entry) in caplog.messages[0]
    assert "a.example" not in caplog.text


def test_one_warning_for_each_value(caplog: pytest.LogCaptureFixture) -> None:
    """It names all that is skipped of it; another value is worth another one. No entry's password is shown."""
    for value in ("[::1,[::2", "[::1,[::2", "[::3", "http://user:secret@example.com"):
        proxy_for(HTTPS, {"ALL_PROXY": PROXY, "no_proxy": value})
    begin = "no_proxy: skipped invalid entries: "
    assert caplog.messages == [begin + "'[::1', '[::2'", begin + "'[::3'", begin + "'example.com'"]


def test_no_warning_where_there_is_no_proxy(caplog: pytest.LogCaptureFixture) -> None:
    """What NO_PROXY says does not matter then, nor for a loopback host."""
    assert proxy_for(HTTPS, {"HTTP_PROXY": PROXY, "NO_PROXY": "[::1"}) is None
    assert proxy_for("https://localhost", {"ALL_PROXY": PROXY, "NO_PROXY": "[::1"}) is None
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("proxy", Proxy("http://proxy:80", "http://proxy:80", "ALL_PROXY")),
        ("proxy:3128", Proxy(PROXY, PROXY, "ALL_PROXY")),
        (" http://proxy:3128/ ", Proxy(PROXY, PROXY, "ALL_PROXY")),
        ("HTTP://Proxy:3128/path?query#fragment", Proxy(PROXY, PROXY, "ALL_PROXY")),
        ("http://proxy:", Proxy("http://proxy:80", "http://proxy:80", "ALL_PROXY")),
        ("http://proxy:03128", Proxy(PROXY, PROXY, "ALL_PROXY")),
        ("https://proxy", Proxy("https://proxy:443", "https://proxy:443", "ALL_PROXY")),
        ("socks5://proxy", Proxy("socks5://proxy:1080", "socks5://proxy:1080", "ALL_PROXY")),
        ("socks5h://proxy:65535", Proxy("socks5h://proxy:65535", "socks5h://proxy:65535", "ALL_PROXY")),
        ("10.0.0.1:3128", Proxy("http://10.0.0.1:3128", "http://10.0.0.1:3128", "ALL_PROXY")),
        ("http://[::1]", Proxy("http://[::1]:80", "http://[::1]:80", "ALL_PROXY")),
        ("[2001:DB8::1]:3128", Proxy("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", "ALL_PROXY")),
        ("[fe80::1%eth0]", Proxy("http://[fe80::1%eth0]:80", "http://[fe80::1%eth0]:80", "ALL_PROXY")),
        ("10.0.0.256.example", Proxy("http://10.0.0.256.example:80", "http://10.0.0.256.example:80", "ALL_PROXY")),
        ("bücher.example:3128", Proxy("http://bücher.example:3128", "http://bücher.example:3128", "ALL_PROXY")),
        ("user:pass@proxy:3128", Proxy("http://user:pass@proxy:3128", PROXY, "ALL_PROXY", "user", "pass")),
        ("http://user@proxy:3128", Proxy("http://user@proxy:3128", PROXY, "ALL_PROXY", "user")),
        ("http://:pass@proxy:3128", Proxy("http://:pass@proxy:3128", PROXY, "ALL_PROXY", "", "pass")),
        ("http://@proxy:3128", Proxy("http://@proxy:3128", PROXY, "ALL_PROXY")),
        ("http://u:a:b@c@proxy:3128", Proxy("http://u:a:b@c@proxy:3128", PROXY, "ALL_PROXY", "u", "a:b@c")),
        (
            "http://a%40b:p%2F%3a%C3%BC%@proxy:3128",
            Proxy("http://a%40b:p%2F%3a%C3%BC%@proxy:3128", PROXY, "ALL_PROXY", "a@b", "p/:ü%"),
        ),
        ("http://u:a]b[@proxy:3128", Proxy("http://u:a]b[@proxy:3128", PROXY, "ALL_PROXY", "u", "a]b[")),
    ],
)
def test_proxies(value: str, expected: Proxy) -> None:
    """What a value means: http without a scheme, the kind's own port without one, credentials decoded."""
    assert proxy_for(HTTPS, {"ALL_PROXY": value}) == expected


KIND = "has a scheme other than http, https, socks5, socks5h"
PORT = "has a port that is not a number from 1 to 65535"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("socks4://proxy:1080", KIND),
        ("socks://proxy:1080", KIND),
        ("ftp://secret@proxy", KIND),
        ("://secret", KIND),
        ("secret:pa://ss@proxy", KIND),
        ("http://", "has no host"),
        ("http:///secret", "has no host"),
        ("http://secret@", "has no host"),
        ("http://:3128", "has no host"),
        ("//secret:3128", "has no host"),
        ("http://user:sec/ret@proxy", "has a /, ? or # in its credentials"),
        ("user:12?secret@proxy", "has a /, ? or # in its credentials"),
        ("http://user:12#secret@proxy:3128", "has a /, ? or # in its credentials"),
        ("http://secret proxy:3128", "has an invalid host"),
        ("http://.secret:3128", "has an invalid host"),
        ("http://*.secret:3128", "has an invalid host"),
        ("http://[::1:3128", "has an invalid host"),
        ("http://[::1]secret:3128", "has an invalid host"),
        ("http://[secret]:3128", "has an invalid host"),
        ("http://[10.0.0.1]:3128", "has an invalid host"),
        ("http://[fd00::12345]:3128", "has an invalid host"),
        ("http://[fe80::1%]:3128", "has an invalid host"),
        ("http://10.0.0.256:3128", "has an invalid host"),
        ("http://10.0.0.01:3128", "has an invalid host"),
        ("http://proxy:0", PORT),
        ("http://proxy:65536", PORT),
        ("http://proxy:-1", PORT),
        ("http://proxy:+80", PORT),
        ("http://user:secret", PORT),
        ("http://fd00::1", PORT),
        ("proxy:" + "9" * 5000, PORT),
        ("http://proxy:\N{SUPERSCRIPT TWO}", PORT),
        ("http://pro\nxy:3128", "contains a character that cannot be printed"),
        ("http://user:sec\0ret@proxy", "contains a character that cannot be printed"),
        ("http://\udcff@proxy", "contains a character that cannot be printed"),
    ],
)
def test_proxies_that_cannot_be(value: str, problem: str) -> None:
    """The error names the variable and what is wrong, shows nothing of the value, and no cause that would. Where
    NO_PROXY leaves the host out, there is none.
    """
    with pytest.raises(ConfigurationError) as raised:
        proxy_for(HTTPS, {"https_proxy": value})
    error = raised.value
    assert (
        str(error) == f"https_proxy: expected a proxy such as 'http://proxy:3128', but its value (not shown) {problem}"
    )
    assert error.__notes__ == [
        "Write an IPv6 address in brackets, and a special character of a password as %XX. Nothing was sent."
    ]
    assert error.__cause__ is None
    assert error.__context__ is None
    assert proxy_for(HTTPS, {"https_proxy": value, "no_proxy": "featherhq.com"}) is None


SEPARATORS = st.sampled_from(
    ["", "://", "http://", "socks5h://", ":", "@", "/", "[", "]", "*", ".", ",", " ", "%", "::1"]
)
TEXT = st.text() | st.lists(SEPARATORS | st.text(max_size=3) | st.from_regex(r"[0-9a-f]{1,5}")).map("".join)
BASE_URLS = st.sampled_from([HTTPS, HTTP, "http://10.0.0.1:8080", "https://[fd00::1%25a]", "https://bücher.example"])


@given(BASE_URLS, TEXT, TEXT, TEXT)
@example(HTTPS, "proxy", "\N{IDEOGRAPHIC FULL STOP}", "")
@example(HTTPS, "proxy", "\N{FULLWIDTH ASTERISK}", "")
def test_whatever_the_variables_hold(base_url: str, proxy: str, no_proxy: str, system: str) -> None:
    """There is a proxy, or none, or a ConfigurationError."""
    variables = {"https_proxy": proxy, "HTTP_PROXY": proxy, "NO_PROXY": no_proxy}
    for environ in (variables, {"NO_PROXY": no_proxy, "ALL_PROXY": PROXY}, {}):
        try:
            found = proxy_for(base_url, environ, {"all": system, "no": no_proxy})
        except ConfigurationError:
            continue
        assert found is None or isinstance(found, Proxy)


@given(TEXT)
@example("http://[fe80::1%eth0]")
@example("http://a:b@10.0.0.1:1")
def test_httpx_reads_a_proxy_alike(value: str) -> None:
    """What is found can be given to httpx, which takes the same host, port and credentials from it."""
    try:
        found = proxy_for(HTTPS, {"ALL_PROXY": value})
    except ConfigurationError:
        return
    assume(found is not None)
    assert found is not None
    assume(found.shown.isascii())
    shown = httpx.URL(found.shown)
    scheme, _, where = found.shown.partition("://")
    assert (shown.scheme, shown.raw_host.decode()) == (scheme, where.rpartition(":")[0].strip("[]"))
    assert httpx.Proxy(found.url).url == shown
    auth = httpx.Proxy(found.url).auth
    assert (auth or ("", "")) == (found.username, found.password)


SECRETS = st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"s3cr3t{text}s3cr3t")
TEMPLATES = st.sampled_from(
    (
        "{user}:{word}@proxy",
        "http://{user}:{word}@proxy:3128/",
        "socks5://{user}@[::1]",
        "http://:{word}@",
        "{word}://x",
        "ftp://{user}:{word}@proxy",
        "http://{user}:{word}@proxy:x",
        "//{user}:{word}@proxy",
    )
)


@given(TEMPLATES, SECRETS, SECRETS, st.booleans())
def test_credentials_are_shown_nowhere(template: str, user: str, word: str, is_quoted: bool) -> None:
    """Neither by a proxy nor by an error, as it is printed, logged or pickled; and they come out as they went in."""
    secrets = [quote(text, safe="") if is_quoted else text for text in (user, word)]
    value = template.format(user=secrets[0], word=secrets[1])
    try:
        found = proxy_for(HTTPS, {"ALL_PROXY": value})
    except ConfigurationError as raised:
        error = raised
        found = None
    if found is None:
        printed = "".join(traceback.format_exception(error))
        assert "s3cr3t" not in printed + repr(error) + repr(pickle.loads(pickle.dumps(error)).__dict__)  # noqa: S301
        return
    assert "s3cr3t" not in repr(found) + str(found) + found.shown
    if is_quoted:
        assert found.username in {user, ""}
        assert found.password in {word, ""}
        assert found.url.count("s3cr3t") == value.count("s3cr3t")
