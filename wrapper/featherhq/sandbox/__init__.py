"""A local server that behaves like Feather's web chat API. It uses real sockets, and needs no network and no account.

    from featherhq import Feather
    from featherhq.sandbox import CutAfter, Sandbox

    with Sandbox(agent=lambda text, history: text.upper()) as sandbox:
        with Feather(sandbox.api_key, base_url=sandbox.url) as feather:
            thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
            print(thread.ask("hello").text)             # HELLO

            sandbox.inject("sendMessage", CutAfter())   # the next message is accepted, but gets no response

It needs the extra `featherhq[sandbox]`. It follows the contract (`openapi.yaml`), which was made from the vendor's API
reference. The reference does not say whether a closed thread accepts messages, what the data of an event contains, or
in which order messages are listed. There the sandbox guesses. It was never compared with the vendor's servers.
"""

from __future__ import annotations

try:
    from featherhq.sandbox._requests import RecordedRequest
    from featherhq.sandbox._sandbox import Sandbox
except ImportError as error:
    raise ImportError(f"the sandbox needs {error.name}: pip install 'featherhq[sandbox]'", name=error.name) from error

from featherhq.sandbox._agent import default_agent
from featherhq.sandbox._faults import (
    Body,
    CutAfter,
    CutBefore,
    CutStream,
    Drip,
    Duplicate,
    Fault,
    Garbage,
    Hide,
    HoldHead,
    Html,
    Lag,
    Mute,
    Reorder,
    Replay,
    Skip,
    Stall,
    Status,
)

__all__ = [
    "Body",
    "CutAfter",
    "CutBefore",
    "CutStream",
    "Drip",
    "Duplicate",
    "Fault",
    "Garbage",
    "Hide",
    "HoldHead",
    "Html",
    "Lag",
    "Mute",
    "RecordedRequest",
    "Reorder",
    "Replay",
    "Sandbox",
    "Skip",
    "Stall",
    "Status",
    "default_agent",
]
