"""The contract, its overlay, and the files that are generated from them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import generate as tool
import pytest
from documents import ContractError, load_yaml, parse_yaml
from featherhq_api.models import ListMessagesResponse, SendMessageResponse, ThreadResponse
from overlay import apply_overlay

ROOT = Path(__file__).parent.parent.parent
SEND = "/api/v1/threads/{threadId}/messages"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files that the generator reads and writes."""
    for name in ("openapi.yaml", "openapi.overlay.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "generated", tmp_path / "generated")
    return tmp_path


def run(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / "tools/generate.py"), "--root", str(root), *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(line, cwd=root, env=variables, capture_output=True, text=True, check=False)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def tree(root: Path) -> dict[str, bytes]:
    files = (path for path in (root / "generated").rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files if "__pycache__" not in path.parts}


def test_the_send_operation_equals_the_vendors_page() -> None:
    """The text of the operation in openapi.yaml is the text of the page. The server, the security and the components
    are also the same.
    """
    page = (ROOT / "tests/data/send-a-message.yaml").read_text("utf-8")
    ours = (ROOT / "openapi.yaml").read_text("utf-8")
    operation = page[page.index("    post:\n") : page.index("components:\n")]
    assert f"  {SEND}:\n" in ours
    assert operation in ours
    theirs, mine = parse_yaml(page, "page"), parse_yaml(ours, "ours")
    assert mine["paths"][SEND]["post"] == theirs["paths"][SEND]["post"]
    for key in ("openapi", "info", "servers", "security", "components"):
        assert mine[key] == theirs[key]


def test_generated_files_match_the_contract(copy: Path) -> None:
    """The check passes for this repository, and reports each edited, extra or missing file."""
    assert run(copy, "--check").returncode == 0
    package = copy / "generated/featherhq_api"
    edit(package / "client.py", "class Client", "class  Client")
    (package / "stray.py").touch()
    (package / "py.typed").unlink()
    checked = run(copy, "--check")
    assert checked.returncode == 1
    for told in ("client.py: differs", "stray.py: nothing makes this file", "py.typed: missing", "make generate"):
        assert told in checked.stderr
    assert run(copy).returncode == 0
    assert tree(copy) == tree(ROOT)


def test_generation_gives_the_same_bytes_everywhere(copy: Path) -> None:
    """The hash seed, the folder, the locale and the project's lint settings do not change the generated files."""
    shutil.rmtree(copy / "generated")
    (copy / "ruff.toml").write_text("line-length = 40\n[format]\nquote-style = 'single'\n")
    assert run(copy, PYTHONHASHSEED="77", LC_ALL="C", PYTHONUTF8="0").returncode == 0
    assert tree(copy) == tree(ROOT)
    assert not list((copy / "generated").rglob(".ruff_cache"))


def test_a_failure_changes_no_generated_file(copy: Path) -> None:
    """A failed run prints its cause without a traceback, and writes nothing."""
    before = tree(copy)
    cases = [
        ("openapi.yaml", f"  {SEND}:", "  /api/v2/messages:", "overlay action 6, line"),
        ("openapi.yaml", "openapi: 3.0.0", "openapi: [", "openapi.yaml:9: this is no YAML"),
        ("openapi.yaml", "in: path", "in: nowhere", "no valid OpenAPI"),
        ("openapi.overlay.yaml", "operationId: getThread", "operationId: update-Thread", "both be update_thread.py"),
        ("openapi.overlay.yaml", "    remove: true", "    removes: true", "unknown key removes"),
    ]
    for name, old, new, told in cases:
        good = (copy / name).read_text("utf-8")
        edit(copy / name, old, new)
        failed = run(copy)
        assert failed.returncode == 1, told
        assert told in failed.stderr
        assert "Traceback" not in failed.stderr
        assert tree(copy) == before
        assert {path.name for path in copy.iterdir()} == {"openapi.yaml", "openapi.overlay.yaml", "generated"}
        (copy / name).write_text(good, "utf-8")


def test_a_write_error_changes_no_generated_file(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This holds when the swap of the folders fails, and when a file is in the place of the folder."""
    made, there = ROOT / "generated/featherhq_api", copy / "generated/featherhq_api"
    before = tree(copy)
    rename = Path.rename

    failures: list[tuple[BaseException, type[BaseException], str]] = [
        (
            OSError(28, "No space left on device"),
            ContractError,
            "No space left on device; what was there is there still",
        ),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ]
    for failure, raised, told in failures:

        def fail(self: Path, target: Path, failure: BaseException = failure) -> Path:
            if self.name == ".featherhq_api.new":
                raise failure
            return rename(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", fail)
            with pytest.raises(raised, match=told):
                tool._swap(made, there)
        assert tree(copy) == before
        assert [path.name for path in (copy / "generated").iterdir()] == ["featherhq_api"]
    shutil.rmtree(copy / "generated")
    (copy / "generated").touch()
    failed = run(copy)
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert "generated/featherhq_api: " in failed.stderr
    assert (copy / "generated").is_file()


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        ("$.paths['/threads/{id}/close'].patch", "in $['paths'] there is no ['/threads/{id}/close'] any more"),
        ("$.paths['/threads/{id}/close'].patch", "(there is '/threads/{id}/end')"),
        ("$.paths['/threads/{id}/end'].patch", "in $['paths']['/threads/{id}/end'] there is no ['patch'] any more"),
        ("$.paths['/threads/{id}/end'].patch", "(there is 'post')"),
        ("$.paths.*.post.tags[2]", "in $['paths'][*]['post']['tags'] there is no [2] any more."),
        ("$..[?@.enum].enum", "in $ there is no ..[?@['enum']] any more."),
        ("$.info.title.text", "in $['info']['title'] there is no ['text'] any more."),
        ("$.servers", "in $ there is no ['servers'] any more (there is 'info', 'paths')"),
    ],
)
def test_a_target_without_a_match_is_reported_with_a_cause(target: str, cause: str) -> None:
    """The error says how far the target leads, what is missing there, and which similar keys exist."""
    document = {"info": {"title": "A"}, "paths": {"/threads/{id}/end": {"post": {"tags": ["A", "B"]}}, "/web": {}}}
    with pytest.raises(ContractError) as caught:
        apply_overlay(document, {"actions": [{"target": target, "description": "Its name.", "update": {}}]})
    assert cause in str(caught.value)
    assert str(caught.value).startswith("overlay action 1: the target matches nothing: ")
    assert str(caught.value).endswith(f"\n  target: {target}\n  description: Its name.")


def test_all_actions_without_a_match_are_reported_together() -> None:
    """One error reports all these actions. With `unmatched`, they are skipped and collected."""
    actions = [
        {"target": "$.b", "remove": True},
        {"target": "$.a", "update": {"c": 1}},
        {"target": "$.d", "update": {}},
    ]
    with pytest.raises(ContractError, match=r"(?s)overlay action 1: .*\noverlay action 3: "):
        apply_overlay({"a": {}}, {"actions": actions})
    unmatched: list[str] = []
    assert apply_overlay({"a": {}}, {"actions": actions}, unmatched=unmatched) == {"a": {"c": 1}}
    assert [told[:17] for told in unmatched] == ["overlay action 1:", "overlay action 3:"]


def test_an_operation_without_a_name_is_generated_with_a_hint(copy: Path) -> None:
    """A warning shows the lines to add to the overlay. Generation continues, and the model accepts new enum values."""
    guests = """  /api/v1/threads/{threadId}/guests:
    get:
      tags:
        - SMS Threads
      parameters:
        - schema:
            type: string
            format: uuid
          required: true
          name: threadId
          in: path
      responses:
        '200':
          description: Who is there
          content:
            application/json:
              schema:
                type: object
                properties:
                  kind:
                    type: string
                    enum: [A, B]
                required: [kind]
components:
"""
    edit(copy / "openapi.yaml", "components:\n", guests)
    made = run(copy)
    assert made.returncode == 0
    assert "operationId: listThreadGuests" in made.stderr
    assert "target: $.paths['/api/v1/threads/{threadId}/guests'].get" in made.stderr
    assert len(list((copy / "generated/featherhq_api/api/threads").glob("*guests*.py"))) == 1
    models = (copy / "generated/featherhq_api/models").glob("*guests*.py")
    assert "kind: None | str | Unset" in next(models).read_text("utf-8")


@pytest.mark.parametrize(
    ("action", "result"),
    [
        ({"target": "$.a", "update": {"b": {"d": 1}}}, {"a": {"b": {"c": 1, "d": 1}, "list": [1, 2, 3]}}),
        ({"target": "$.a.list", "update": 4}, {"a": {"b": {"c": 1}, "list": [1, 2, 3, 4]}}),
        ({"target": "$.a", "update": {"list": [4]}}, {"a": {"b": {"c": 1}, "list": [1, 2, 3, 4]}}),
        ({"target": "$.a.list[0,2]", "remove": True}, {"a": {"b": {"c": 1}, "list": [2]}}),
        ({"target": "$.a.list[*]", "remove": True}, {"a": {"b": {"c": 1}, "list": []}}),
        ({"target": "$..c", "remove": True}, {"a": {"b": {}, "list": [1, 2, 3]}}),
        ({"target": "$.a", "remove": False}, {"a": {"b": {"c": 1}, "list": [1, 2, 3]}}),
        ({"target": "$.a", "remove": True, "update": {"x": 1}}, {}),
    ],
)
def test_overlay_actions(action: dict[str, Any], result: dict[str, Any]) -> None:
    """The actions work as the Overlay specification says, and the original document does not change."""
    document = {"a": {"b": {"c": 1}, "list": [1, 2, 3]}}
    assert apply_overlay(document, {"actions": [action]}) == result
    assert document == {"a": {"b": {"c": 1}, "list": [1, 2, 3]}}


@pytest.mark.parametrize(
    "overlay",
    [
        {},
        {"actions": "all"},
        {"actions": ["all"]},
        {"actions": [{"update": {}}]},
        {"actions": [{"target": "$.b", "update": {}}]},
        {"actions": [{"target": "$.b", "remove": True}]},
        {"actions": [{"target": "$[", "update": {}}]},
        {"actions": [{"target": "$.a", "update": {}}]},
        {"actions": [{"target": "$", "updates": {}}]},
    ],
)
def test_invalid_overlays(overlay: Any) -> None:
    """An invalid overlay raises an error. So does a target that matches nothing, because it means that the contract has
    changed.
    """
    with pytest.raises(ContractError):
        apply_overlay({"a": 1}, overlay)


def test_yaml_is_read_as_yaml_1_2(tmp_path: Path) -> None:
    """The value `on` is a string."""
    (tmp_path / "a.yaml").write_text("switch: on")
    assert load_yaml(tmp_path / "a.yaml") == {"switch": "on"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"thread": None},
        {"thread": 7},
        {"thread": {"messages": [None, 7], "pagination": []}},
        {"status": "NEW", "x": 1},
    ],
)
def test_generated_models_accept_any_object(body: dict[str, Any]) -> None:
    """Nulls, missing and new fields, new enum values and wrong types raise no error."""
    for model in (ThreadResponse, ListMessagesResponse, SendMessageResponse):
        read: Any = model.from_dict(body)
        assert type(read) is model
        assert isinstance(read.additional_properties, dict)
