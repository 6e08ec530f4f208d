"""A request in the form that a transport takes. The key is revealed here or later, and nowhere before."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import httpx

from featherhq._core.exchange import EXCHANGE
from featherhq._core.secrets import Secret
from featherhq._http.failures import raise_if_from_signal
from featherhq.errors import InvalidArgumentError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from featherhq._core.effects import SendRequest

# What nearly every request of ours has, and no more.
_USUAL: Final = frozenset({"method", "url", "headers", "json"})
# As httpx writes JSON.
_encode_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_ERRORS: Final = (TypeError, ValueError, RecursionError, httpx.InvalidURL)


def build(client: httpx.Client | httpx.AsyncClient, effect: SendRequest) -> httpx.Request:
    """The httpx request for an effect. It carries the effect's exchange with it.

    Raises:
        InvalidArgumentError: no request can be made from this, for example because a body is not JSON.
    """
    problem: Exception
    try:
        # The key is revealed in this one expression.
        return client.build_request(
            **{**effect.request, "headers": _revealed(effect.request["headers"])},
            timeout=httpx.Timeout(**effect.timeouts),
            extensions={EXCHANGE: effect.exchange},
        )
    except _ERRORS as error:
        problem = error
    raise _impossible(problem)


def encode(effect: SendRequest) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """The method, URL, headers and body of an effect, for a transport that is not httpx's. Without the key.

    Raises:
        InvalidArgumentError: as in `build`.
    """
    request = effect.request
    headers = [item for item in request["headers"].items() if not isinstance(item[1], Secret)]
    problem: Exception
    try:
        if _USUAL.issuperset(request) and all(value.isascii() for _, value in headers):
            if "json" not in request:
                return request["method"].upper(), normal_url(request["url"]), headers, b""
            body = _encode_json(request["json"])
            if not any(name.lower() == "content-type" for name, _ in headers):
                headers.append(("Content-Type", "application/json"))
            return request["method"].upper(), normal_url(request["url"]), headers, body.encode()
        made = httpx.Request(**{**request, "headers": headers})
        headers = [item for item in made.headers.multi_items() if item[0] not in {"host", "content-length"}]
        return made.method, str(made.url), headers, made.read()
    except _ERRORS as error:
        problem = error
    raise _impossible(problem)


def invalid_url(url: str) -> str | None:
    """Why httpx cannot read a URL; `None` if it can."""
    try:
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        return one_line(str(error))
    return None


def readable(headers: Iterable[tuple[bytes, bytes]], request: httpx.Request) -> list[tuple[bytes, bytes]]:
    """The headers without a `Location` that httpx cannot read. httpx would fail on it, though it need not follow it."""
    return [(name, value) for name, value in headers if name.lower() != b"location" or _is_url(value, request)]


def _is_url(location: bytes, request: httpx.Request) -> bool:
    with suppress(ValueError, httpx.InvalidURL):
        return bool(request.url.join(location.decode("ascii")))
    return False


@lru_cache(maxsize=1024)
def normal_url(url: str) -> str:
    """A URL as httpx writes it: in ASCII, with special characters as %XX."""
    return str(httpx.URL(url))


def _revealed(headers: Mapping[str, Any]) -> dict[str, str]:
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in headers.items()}


def _impossible(problem: Exception) -> InvalidArgumentError:
    raise_if_from_signal(problem)
    return InvalidArgumentError(f"no request can be made from this: {one_line(str(problem))}", hint="Nothing was sent.")


def stop_timing(response: object) -> None:
    """A stream has begun. From now on the conversation judges its silences, not httpx."""
    if isinstance(response, httpx.Response):
        # httpx gives this same mapping to the connection, which reads it when the next read begins.
        response.request.extensions["timeout"]["read"] = None
