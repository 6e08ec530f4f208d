"""Whole documents are imported into the contract, and a client is generated from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from contract_helpers import (
    FRAGMENT,
    OURS,
    PATH,
    ROOT,
    Contract,
    empty_contract,
    filled_contract,
    page,
)
from documents import parse_yaml, plain
from featherhq import Feather
from featherhq.sandbox import Sandbox

empty = pytest.fixture(empty_contract)
contract = pytest.fixture(filled_contract)


@pytest.mark.parametrize("name", ["whole.yaml", "whole.json"])
def test_import_of_a_whole_document(contract: Contract, name: str) -> None:
    """The changes of the document are imported, including its components. Operations that it lacks stay, and are
    reported. A second import changes nothing.
    """
    whole = plain(parse_yaml(OURS, "ours"))
    del whole["paths"]["/api/v1/threads/web"]
    whole["components"]["securitySchemes"]["ApiKey"]["description"] = "A key\twith a tab, \U0001f511 and two\nlines."
    whole["info"]["version"] = "1.1.0"
    text = json.dumps(whole, indent="\t")
    if name.endswith(".yaml"):
        text = json.dumps(whole, indent=1, ensure_ascii=False)
    status, out, _ = contract.import_texts(text, name=name, kind="--spec")
    assert status == 0
    assert "  + components > securitySchemes > ApiKey > description\n" in out
    assert "it has no POST /api/v1/threads/web, which stays" in out
    assert "its version is 1.1.0" in out
    read = plain(parse_yaml(contract.text(), "new"))
    assert read["components"] == whole["components"]
    assert read["paths"] == plain(parse_yaml(OURS, "ours"))["paths"]
    assert OURS.split("components:\n")[0] in contract.text()
    after = contract.text()
    assert "nothing was written" in contract.import_texts(text, name=name, kind="--spec")[1]
    assert contract.text() == after


def test_invalid_json(contract: Contract) -> None:
    """The error names the line of the mistake."""
    status, _, err = contract.import_texts('{\n "openapi": "3.0.0",\n}', name="a.json", kind="--spec")
    assert (status, contract.text()) == (1, OURS)
    assert "a.json:3: this is no JSON" in err


def test_a_different_security_is_kept_in_the_operation(contract: Contract) -> None:
    """When the page has another security for the whole document than the contract, its operation keeps the page's
    security.
    """
    new = FRAGMENT.replace("security: []\n", "security:\n  - ApiKey: []\n", 1).replace(
        "      security:\n        - ApiKey: []\n", ""
    )
    new = new.replace("get:", "put:")
    assert contract.import_texts(page(new))[0] == 0
    read = plain(parse_yaml(contract.text(), "new"))
    assert read["security"] == []
    assert read["paths"][PATH]["put"]["security"] == [{"ApiKey": []}]


USE = """
import sys
from uuid import UUID
from featherhq_api import AuthenticatedClient
from featherhq_api.api.{module} import {function} as send
from featherhq_api.models import {body} as Body

client = AuthenticatedClient(sys.argv[1], token=sys.argv[2], prefix="", auth_header_name="X-API-Key")
print(send.sync(UUID(sys.argv[3]), client=client, body=Body(message="Hello from an empty contract")))
"""
SEND = "$.paths['/api/v1/threads/{threadId}/messages'].post"
NAMES = f"""overlay: 1.0.0
info: {{title: Names, version: 1.0.0}}
actions:
  - target: {SEND}
    update: {{operationId: sendMessage}}
  - target: {SEND}.requestBody.content['application/json'].schema
    update: {{title: SendMessageBody}}
"""


@pytest.mark.parametrize(
    ("overlay", "names"),
    [
        (
            "overlay: 1.0.0\nactions: []\n",
            ("post_api_v_1_threads_thread_id_messages", "PostApiV1ThreadsThreadIdMessagesBody"),
        ),
        (NAMES, ("send_message", "SendMessageBody")),
    ],
    ids=["unnamed", "named"],
)
def test_from_an_empty_contract_to_a_client_that_sends(empty: Contract, overlay: str, names: tuple[str, str]) -> None:
    """The vendor's page alone, imported and generated, gives a client that sends a message to a thread."""
    empty.folder.joinpath("openapi.overlay.yaml").write_text(overlay)
    vendors = (ROOT / "tests/data/send-a-message.yaml").read_text("utf-8")
    assert empty.import_texts(page(vendors))[0] == 0
    line = [sys.executable, str(ROOT / "tools/generate.py"), "--root", str(empty.folder)]
    made = subprocess.run(line, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert ("has no name yet" in made.stderr) == (overlay is not NAMES)
    with Sandbox(rate_limit=None) as sandbox, Feather(sandbox.api_key, base_url=sandbox.url) as feather:
        thread = feather.threads.create("6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11")
        program = USE.format(module="sms_threads", function=names[0], body=names[1])
        line = [sys.executable, "-W", "error", "-c", program, sandbox.url, sandbox.api_key, thread.id]
        environment = {**os.environ, "PYTHONPATH": str(empty.folder / "generated")}
        ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "Hello from an empty contract" in [message.text for message in sandbox.messages(thread.id)]
