"""One request of `featherhq doctor`, and what its response shows."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from featherhq._cli.exits import Exit, exit_of
from featherhq._cli.failures import lines_of
from featherhq._cli.findings import Finding, State, bad, good
from featherhq.errors import (
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    FeatherError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
    one_line,
)

if TYPE_CHECKING:
    from featherhq import Feather

# Seconds. Without the header `Date`, a conversation tells new messages from old ones by the clock of this machine, and
# allows for this difference (`_threads/messages.py`).
_MATTERS_FROM: Final = 3
# Seconds. More than this confuses logs, and soon certificates.
_FAR_OFF: Final = 300

_AUTHORITY: Final = "Is there a proxy that looks into TLS? Put the certificate of its authority into SSL_CERT_FILE."
# By the codes of OpenSSL for the results of a verification.
_TLS_PROBLEMS: Final = {
    9: ("the certificate is not valid yet", "Check the clock of this machine."),
    10: ("the certificate has expired", "Check the clock of this machine. If it is right, the server must renew it."),
    18: ("the certificate is signed by itself, and not by an authority", _AUTHORITY),
    19: ("the certificate is from an authority that this machine does not know", _AUTHORITY),
    20: ("the certificate is from an authority that this machine does not know", _AUTHORITY),
    21: ("the certificate is from an authority that this machine does not know", _AUTHORITY),
    62: (
        "the certificate is for another host",
        "Check the host in the URL, and what the proxy or the DNS makes of it.",
    ),
    64: ("the certificate is for another host", "Check the URL: it may need the name of the host, not its address."),
}


class Answer(NamedTuple):
    """What came of a request.

    Attributes:
        error: Why it failed, or `None`.
        headers: The headers of its response, or `None` if no response came.
        seconds: How long it took.
        at: The time in its middle, in seconds since 1970.
    """

    error: FeatherError | None
    headers: Mapping[str, str] | None
    seconds: float
    at: float

    @property
    def was_refused(self) -> bool:
        """Whether the server did not accept the key."""
        return isinstance(self.error, AuthenticationError | PermissionDeniedError)


def ask(feather: Feather) -> Answer:
    """Make the cheapest request that needs a key: list one thread."""
    from featherhq_api.api.threads import list_threads

    began, began_at = time.monotonic(), time.time()
    error: FeatherError | None = None
    headers: Mapping[str, str] | None = None
    try:
        headers = list_threads.sync_detailed(client=feather.api, limit="1").headers
    except APIStatusError as refused:
        error, headers = refused, refused.headers
    except FeatherError as failed:
        error = failed
    took = time.monotonic() - began
    return Answer(error, headers, took, began_at + took / 2)


def tls(answer: Answer) -> Finding:
    """What the request shows about TLS."""
    if isinstance(answer.error, ConfigurationError):
        return bad("tls", *lines_of(answer.error), Exit.WRONG_USE)
    cause = answer.error.__cause__ if answer.error is not None else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        detail = one_line(cause.verify_message)
        problem, hint = _TLS_PROBLEMS.get(cause.verify_code, ("the certificate is not valid", _AUTHORITY))
        return bad("tls", f"{problem} ({detail})", hint, Exit.NOT_DELIVERED)
    if isinstance(cause, ssl.SSLError):
        hint = "Does the server speak TLS at this port? If not, the URL begins with http://."
        return bad("tls", f"no TLS connection ({one_line(str(cause))})", hint, Exit.NOT_DELIVERED)
    if answer.headers is None and not isinstance(answer.error, ResponseDecodeError):
        return Finding("tls", State.SKIPPED, "the connection did not get so far")
    return good("tls", "the certificate is valid")


def clock(answer: Answer) -> Finding:
    """How far the clock of this machine is off, by the header `Date` of the response."""
    date = (answer.headers or {}).get("date")
    try:
        # Its seconds are cut, so half a second is added.
        told = parsedate_to_datetime(str(date)).timestamp() + 0.5
    except (ValueError, OverflowError):
        text = f"the response has no date: the clock of this machine must then be right within {_MATTERS_FROM} s"
        return Finding("clock", State.NOTE, text)
    ahead = answer.at - told
    if abs(ahead) <= max(_MATTERS_FROM, answer.seconds):
        return good("clock", f"within {_MATTERS_FROM} s of the server's")
    text = f"this machine is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server"
    if abs(ahead) < _FAR_OFF:
        why = f"It matters (from {_MATTERS_FROM} s) only if responses have no date. Yours have one."
        return Finding("clock", State.NOTE, text, why)
    return bad("clock", text, "Set the clock, for example with NTP: certificates and logs depend on it.", Exit.FAILURE)


def request_problem(error: FeatherError) -> Finding:
    """Why a request failed, once the connection is there."""
    what, hint = lines_of(error)
    if isinstance(error, RateLimitError):
        return bad("rate limit", what, hint, Exit.RATE_LIMIT)
    status = exit_of(error)
    if status in {Exit.NOT_FOUND, Exit.REFUSED} or isinstance(error, ResponseDecodeError):
        hint = "This may be no Feather server: check the URL (--base-url, FEATHER_BASE_URL)."
    return bad("access", what, hint, status)
