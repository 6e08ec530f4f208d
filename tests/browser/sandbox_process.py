"""A sandbox in a process of its own, which a test can kill. It keeps its threads in a file.

Arguments: the port, the API key and the file.
"""

from __future__ import annotations

import sys
import threading
import time

from featherhq import Message
from featherhq.sandbox import Sandbox, default_agent

SLOW = "slowly"
# Seconds. A test kills a server in this time.
THINKING = 2.0


def agent(text: str, history: list[Message]) -> str | list[str]:
    """The agent of the demo, which thinks for a while if it is asked to."""
    if SLOW in text:
        time.sleep(THINKING)
    return default_agent(text, history)


if __name__ == "__main__":
    port, key, file = sys.argv[1:]
    with Sandbox(agent, port=int(port), api_key=key, keep=file, rate_limit=None):
        threading.Event().wait()
