"""Code that the tools share: OpenAPI documents in YAML, with their line numbers and comments."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, NoReturn

from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError
from referencing.exceptions import Unresolvable
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

ROOT: Final = Path(__file__).resolve().parent.parent
"""The repository."""
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class ContractError(Exception):
    """The contract, its overlay, or the generated package has an error. The message also says what to do."""


def run(main: Callable[[], int]) -> NoReturn:
    """Run a tool, and exit with its status. If ctrl-c stops it, no traceback is printed."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")


class _Constructor(RoundTripConstructor):
    """Reads a date as text, because JSON has no dates."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_scalar)


def yaml() -> YAML:
    """A reader and writer of YAML 1.2. It keeps comments, and writes in the vendor's style."""
    made = YAML()
    made.Constructor = _Constructor
    made.indent(mapping=2, sequence=4, offset=2)
    return made


def load_yaml(path: Path) -> Any:
    """Read a YAML document from a file, with its line numbers and comments.

    Raises:
        ContractError: the file cannot be read, or is not YAML.
    """
    return parse_yaml(read_text(path), path.name)


def parse_yaml(text: str, name: str) -> Any:
    """Read a YAML document from text, with its line numbers and comments.

    All keys become strings, as in JSON. So 200 and '200' are the same key.

    Raises:
        ContractError: the text is not YAML. The message names the line.
    """
    try:
        document = yaml().load(text)
        _name_keys(document)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ContractError(f"{name}{line}: this is no YAML: {error.problem or error.context}") from error
    except (YAMLError, ValueError) as error:
        raise ContractError(f"{name}: this is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ContractError(f"{name}: something in it is nested too deeply, or holds itself") from error
    return document


def _name_keys(node: Any) -> None:
    """Make all keys strings, without a change to their order and lines."""
    if isinstance(node, CommentedMap):
        for index, key in enumerate(list(node)):
            if not isinstance(key, str):
                line = node.lc.data[key]
                node.insert(index, str(key), node.pop(key))
                node.lc.data[str(key)] = line
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _name_keys(value)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ContractError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def plain(node: Any) -> Any:
    """A copy of a document as plain JSON data, without line numbers and comments."""
    return json.loads(json.dumps(node))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """All operations of a document, each with its path and method."""
    for path, item in (document.get("paths") or {}).items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def line_of(document: Any, keys: Iterable[str | int]) -> int:
    """The line of a key of a YAML document. If the key does not exist, the line of the nearest key above it."""
    line, node = document.lc.line, document
    for key in keys:
        if isinstance(node, CommentedMap) and key in node:
            line = node.lc.key(key)[0]
        elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
            line = node.lc.item(key)[0]
        else:
            break
        node = node[key]
    return int(line) + 1


def check_valid(
    document: dict[str, Any], tell: Callable[[Sequence[str | int]], str], *, references: bool = True
) -> None:
    """Check a document against the OpenAPI specification.

    Args:
        document: The document.
        tell: Gives the name of a place for messages. Its argument is the keys of the place.
        references: Whether the target of each `$ref` must exist.

    Raises:
        ContractError: the document is not valid OpenAPI, or refers to another document.
    """
    for keys, target in _references(document):
        if not target.startswith("#"):
            # Other documents are never fetched.
            raise ContractError(f"{tell(keys)}: it points to another document, {target}")
    version = str(document.get("openapi", "nothing"))
    if not re.match(r"3\.[012]\b", version):
        raise ContractError(f"{tell(('openapi',))}: expected the version of OpenAPI, such as 3.0.0; found {version}")
    try:
        validate(document)
    except OpenAPIValidationError as error:
        place: Sequence[str | int] = tuple(getattr(error, "absolute_path", ()))
        what = shorten(str(error).splitlines()[0], 200) + (f" (at {'/'.join(map(str, place))})" if place else "")
        raise ContractError(f"{tell(place)}: this is no valid OpenAPI: {what}") from error
    except Unresolvable as error:
        if references:
            place = next((keys for keys, target in _references(document) if target == f"#{error.ref}"), ())
            raise ContractError(f"{tell(place)}: this is no valid OpenAPI: there is no {error.ref}") from error


def _references(node: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """All `$ref` of a document: the keys that lead to each, and its target."""
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        yield (*place, "$ref"), node["$ref"]
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _references(value, (*place, key))
