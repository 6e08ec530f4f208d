"""How long an import takes, how much memory it needs, and how long a program takes that sends one message."""

from __future__ import annotations

import time
from typing import Final

from processes import run_code
from server_fast import THREAD_ID

IMPORTS: Final = {
    "httpx": "import httpx",
    "httpx and attrs": "import httpx, attrs",
    "generated": "import featherhq_api.api.threads.send_message",
    "openai": "import openai",
    "featherhq": "from featherhq import Feather",
}
"""The import of each client."""
_SEND: Final = f"/api/v1/threads/{THREAD_ID}/messages"
PROGRAMS: Final = {
    "httpx": f"""
import httpx
with httpx.Client(base_url="URL", headers={{"X-API-Key": "key"}}) as client:
    client.post("{_SEND}", json={{"message": "hello"}}).raise_for_status().json()["messageId"]
""",
    "generated": f"""
from uuid import UUID
from featherhq_api import AuthenticatedClient
from featherhq_api.api.threads import send_message
from featherhq_api.models import SendMessageBody
with AuthenticatedClient(base_url="URL", token="key", prefix="", auth_header_name="X-API-Key") as client:
    body = SendMessageBody(message="hello")
    send_message.sync(UUID("{THREAD_ID}"), client=client, body=body)
""",
    "openai": f"""
from openai import OpenAI
with OpenAI(api_key="key", base_url="URL") as client:
    client.post("{_SEND}", body={{"message": "hello"}}, cast_to=object)
""",
    "featherhq": f"""
from featherhq import Feather
with Feather("key", base_url="URL") as feather:
    feather.thread("{THREAD_ID}").send("hello")
""",
}
"""A whole program that sends one message, for each client."""
# The program itself measures its import, so that the start of Python does not count.
_TIMED: Final = """
import time
began = time.perf_counter()
{}
took = time.perf_counter() - began
print(took * 1000, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


def time_import(python: str, client: str) -> tuple[float, float]:
    """Import a client in a new process. Return the milliseconds, and the kilobytes that the process then holds."""
    took, held = run_code(python, _TIMED.format(IMPORTS[client])).split()
    return float(took), float(held)


def time_program(python: str, client: str, url: str) -> float:
    """Run the client's program. Return its milliseconds, from the start of the process to its end."""
    began = time.perf_counter()
    run_code(python, PROGRAMS[client].replace("URL", url))
    return (time.perf_counter() - began) * 1000
