"""The values of proxy variables: valid ones, invalid ones, random ones, and credentials."""

from __future__ import annotations

import pickle
import traceback
from urllib.parse import quote

import httpx
import pytest
from featherhq._http import proxies
from featherhq._http.proxies import Proxy, proxy_for
from featherhq.errors import ConfigurationError
from hypothesis import assume, example, given, strategies as st
from proxies_helpers import HTTP, HTTPS, PROXY


@pytest.fixture(autouse=True)
def _no_warning_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the warnings of other tests."""
    monkeypatch.setattr(proxies, "_warned", set())


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
def test_valid_proxies(value: str, expected: Proxy) -> None:
    """Without a scheme, a value means http. Without a port, it means the default port of its scheme. Credentials are
    decoded.
    """
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
def test_invalid_proxies(value: str, problem: str) -> None:
    """The error names the variable and the problem. It shows nothing of the value, and has no cause that would show it.
    If NO_PROXY covers the host, there is no error.
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
def test_any_values_of_the_variables(base_url: str, proxy: str, no_proxy: str, system: str) -> None:
    """Whatever the variables hold, the result is a proxy, no proxy, or a ConfigurationError."""
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
def test_httpx_reads_a_proxy_in_the_same_way(value: str) -> None:
    """Each proxy that is found is valid for httpx, which reads the same host, port and credentials from it."""
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
def test_credentials_are_never_shown(template: str, user: str, word: str, is_quoted: bool) -> None:
    """Neither a proxy nor an error shows credentials when it is printed, logged or pickled. Encoded credentials are
    decoded.
    """
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
