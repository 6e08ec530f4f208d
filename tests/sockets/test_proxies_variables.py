"""Which setting names the proxy: environment variables, the system's settings, and the exception for loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from unittest.mock import patch
from urllib.request import getproxies_environment

import pytest
from featherhq._http.proxies import Proxy, proxy_for
from featherhq.errors import ConfigurationError
from hypothesis import given, strategies as st
from proxies_helpers import HTTP, HTTPS, OTHER, PROXY


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
        # An empty value or white space means no proxy. An empty lower-case variable hides the upper-case one.
        (HTTPS, {"HTTPS_PROXY": ""}, None),
        (HTTPS, {"HTTPS_PROXY": " \n"}, None),
        (HTTPS, {"https_proxy": "", "HTTPS_PROXY": OTHER}, None),
        (HTTPS, {"https_proxy": "", "HTTPS_PROXY": OTHER, "ALL_PROXY": PROXY}, "ALL_PROXY"),
        # In a CGI process, HTTP_PROXY comes from a header of the request, so it does not count.
        (HTTP, {"HTTP_PROXY": OTHER, "REQUEST_METHOD": "GET"}, None),
        (HTTP, {"HTTP_PROXY": OTHER, "REQUEST_METHOD": ""}, None),
        (HTTP, {"http_proxy": PROXY, "HTTP_PROXY": OTHER, "REQUEST_METHOD": "GET"}, "http_proxy"),
        (HTTP, {"HTTP_PROXY": OTHER, "ALL_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "ALL_PROXY"),
        (HTTPS, {"HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "HTTPS_PROXY"),
        # The same rules hold for NO_PROXY.
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "*", "no_proxy": ""}, "HTTPS_PROXY"),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "", "no_proxy": "*"}, None),
        (HTTPS, {"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
    ],
)
def test_which_variable_counts(base_url: str, environ: dict[str, str], variable: str | None) -> None:
    """The variable of the URL's scheme comes before ALL_PROXY. A lower-case name comes before an upper-case one."""
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
    """The client uses the same variable as urllib, whatever is set and whether or not it is empty."""
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
    """They count only if no proxy variable has a value, not even NO_PROXY, as with urllib."""
    found = proxy_for(HTTPS, environ, system)
    assert (found and found.shown) == expected


def test_errors_name_the_systems_settings() -> None:
    """If a proxy comes from the system's settings, its errors name them, because there is no variable to name."""
    found = proxy_for(HTTPS, {}, {"https": PROXY})
    assert found is not None
    assert found.variable == "the system's settings"
    with pytest.raises(ConfigurationError, match=r"^the system's settings: expected a proxy "):
        proxy_for(HTTPS, {}, {"https": "socks4://proxy:1080"})


class WindowsVariables(Mapping[str, str]):
    """Variables like `os.environ` on Windows. A variable is found by its name in upper or lower case."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.upper()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_names_without_case() -> None:
    """If names have no case, HTTP_PROXY does not count as http_proxy in a CGI process."""
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
    """No proxy could reach this machine by a loopback name. So no proxy is used, and the variables are not even
    read.
    """
    for scheme in ("http", "https"):
        for base_url in (f"{scheme}://{host}", f"{scheme}://{host}:8080/path"):
            assert (proxy_for(base_url, {"ALL_PROXY": PROXY}) is None) is direct
    if direct:
        assert proxy_for(f"http://{host}", {"ALL_PROXY": "nonsense://"}) is None
