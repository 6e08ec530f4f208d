"""Code that the tools share: OpenAPI documents in YAML and JSON, with their line numbers."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, NoReturn
from urllib.parse import unquote

from json_reader import JsonMap, read_json
from nodes import Map, ReadError, Seq
from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError
from referencing.exceptions import Unresolvable
from yaml_reader import read

ROOT: Final = Path(__file__).resolve().parent.parent
"""The repository."""
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class ContractError(Exception):
    """The contract, its overlay, or the generated package has an error. The message also says what to do."""


def run(main: Callable[[], int]) -> NoReturn:
    """Run a tool, and exit with its status. There is no traceback if ctrl-c stops it, or if nobody reads its output."""
    try:
        try:
            status = main()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit("stopped")
    except BrokenPipeError:
        # Such as in `make contract-diff | head -1`. When Python exits, it would try once more to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    sys.exit(status)


def load_yaml(path: Path) -> Any:
    """Read a YAML document from a file, with its line numbers.

    Raises:
        ContractError: the file cannot be read, or is not YAML.
    """
    return parse_yaml(read_text(path), path.name)


def parse_yaml(text: str, name: str) -> Any:
    """Read a YAML document from text, with its line numbers.

    Objects are of the class `Map`, and lists of the class `Seq`. All keys become strings, as in JSON. So 200 and '200'
    are the same key.

    Raises:
        ContractError: the text is not YAML. The message names the line.
    """
    try:
        return read(text)
    except ReadError as error:
        raise ContractError(f"{name}:{error.line}: this is no YAML: {error.problem}") from error


def parse_json(text: str, name: str) -> Any:
    """Read a JSON document from text. `line_of` knows its line numbers.

    Raises:
        ContractError: the text is not JSON. The message names the line.
    """
    try:
        return read_json(text)
    except ReadError as error:
        raise ContractError(f"{name}:{error.line}: this is no JSON: {error.problem}") from error


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ContractError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror or error}. Check its name and its permissions") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ContractError(f"{path}:{line}: this is no UTF-8 text. Save the file as UTF-8") from error


def plain(node: Any) -> Any:
    """A copy of a document as plain JSON data, without line numbers."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    return [plain(item) for item in node] if isinstance(node, list) else node


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same in JSON. In Python, true and 1 are equal; in JSON, they are not."""
    if isinstance(one, dict):
        fits = isinstance(other, dict) and len(one) == len(other)
        return fits and all(key in other and same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def objects(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The keys of an object whose values are objects, with these values. If it is no object, nothing."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if isinstance(value, dict):
            yield key, value


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """All operations of a document, each with its path and method. What is not an object is left out."""
    for path, item in objects(document.get("paths")):
        for method in METHODS:
            if isinstance(item.get(method), dict):
                yield path, method, item[method]


def without_extensions(document: dict[str, Any]) -> dict[str, Any]:
    """A document without the extensions that stand between its paths, or between the responses of an operation.

    An extension is a key that begins with `x-`. Its value may be anything.
    """
    if not isinstance(document.get("paths"), dict):
        return document
    paths = _without_extensions(document["paths"])
    for path, method, operation in list(operations({"paths": paths})):
        if isinstance(operation.get("responses"), dict):
            new = {**operation, "responses": _without_extensions(operation["responses"])}
            paths[path] = {**paths[path], method: new}
    return {**document, "paths": paths}


def _without_extensions(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if not str(key).startswith("x-")}


def line_of(document: Any, keys: Iterable[str | int]) -> int:
    """The line of a key of a document. If the key does not exist, the line of the nearest key above it."""
    node = document.located if isinstance(document, JsonMap) else document
    line = getattr(node, "line", 0)
    for key in keys:
        if isinstance(node, Map) and key in node.spots:
            line = node.spots[str(key)].line
        elif isinstance(node, Seq) and isinstance(key, int) and key < len(node.lines):
            line = node.lines[key]
        else:
            break
        node = node[key]
    return int(line) + 1


def check_valid(document: dict[str, Any], tell: Callable[[Sequence[str | int]], str], *, outline: bool = False) -> None:
    """Check a document against the OpenAPI specification.

    Args:
        document: The document.
        tell: Gives the name of a place for messages. Its argument is the keys of the place.
        outline: Whether to check the document without its operations and components. That is fast.

    Raises:
        ContractError: the document is not valid OpenAPI, or refers to another document.
    """
    _check_supported(document, tell)
    try:
        # The validator fails at extensions between the paths.
        validate(without_extensions(_outline(document) if outline else document))
    except OpenAPIValidationError as error:
        place = _place(document, error)
        what = shorten(str(error).splitlines()[0], 200) + (f" (at {'/'.join(map(str, place))})" if place else "")
        raise ContractError(f"{tell(place)}: this is no valid OpenAPI: {what}. Correct it there") from error
    except Unresolvable as error:
        place, target = next(
            ((keys, target) for keys, target in _references(document) if _is_gone(document, target)), ((), error.ref)
        )
        what = f"there is no {target.removeprefix('#')}. Add it, or correct the reference"
        raise ContractError(f"{tell(place)}: this is no valid OpenAPI: {what}") from error
    except RecursionError as error:
        raise ContractError(
            f"{tell(_loop(document))}: it is nested too deeply, or a $ref leads to itself. Make it simpler"
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise ContractError(
            f"{tell(())}: the validator fails at this document: {error!r}. Remove what is unusual in it"
        ) from error


def _check_supported(document: dict[str, Any], tell: Callable[[Sequence[str | int]], str]) -> None:
    """Check that a document has a version that the validator knows, and that it needs no other document."""
    for keys, target in _references(document):
        if not target.startswith("#"):
            # Other documents are never fetched.
            raise ContractError(
                f"{tell(keys)}: it points to another document, {target}. Put what it points to into this one"
            )
    version = document.get("openapi", "nothing")
    if not isinstance(version, str) or not re.match(r"3\.[012]\.\d", version):
        raise ContractError(
            f"{tell(('openapi',))}: expected the version of OpenAPI, such as '3.0.0'; found {version}. Correct it"
        )


def _place(document: dict[str, Any], error: OpenAPIValidationError) -> tuple[str | int, ...]:
    """The keys of the place of an error. The validator does not tell them for all errors."""
    place = tuple(getattr(error, "absolute_path", ()))
    operation = re.search(r"'(\w+)' (?:operation )?in '(.+?)'", str(error))
    if not place and operation:
        return "paths", operation[2], operation[1]
    schema = getattr(error, "schema", None)
    if not place and isinstance(schema, dict):
        return next((keys for keys, node in _nodes(document) if node == schema), ())
    return place


def _is_gone(document: Any, target: str) -> bool:
    """Whether a place of a document, such as `#/components/schemas/Thread`, does not exist."""
    for key in target.removeprefix("#").split("/")[1:]:
        name = unquote(key).replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return True
    return not re.match("#(/|$)", target)


def _loop(document: Any) -> tuple[str | int, ...]:
    """The keys of the first `$ref` that leads to its own schema, of which it is the whole or a part of an `allOf`."""
    for keys, target in _references(document):
        around = list(keys[:-1])
        while around and (isinstance(around[-1], int) or around[-1] in {"allOf", "anyOf", "oneOf", "not"}):
            around.pop()
        if target == "#/" + "/".join(str(key).replace("~", "~0").replace("/", "~1") for key in around):
            return keys
    return ()


def _outline(document: dict[str, Any]) -> dict[str, Any]:
    """A document without its operations, and without what is in the sections of its components."""
    made = dict(document)
    if isinstance(made.get("paths"), dict):
        made["paths"] = {
            path: {key: value for key, value in item.items() if key in METHODS and not isinstance(value, dict)}
            if isinstance(item, dict)
            else item
            for path, item in made["paths"].items()
        }
    if isinstance(made.get("components"), dict):
        made["components"] = {
            name: {} if isinstance(section, dict) else section for name, section in made["components"].items()
        }
    return made


# Keys whose values are data of the vendor's API, and not parts of the document.
_DATA: Final = frozenset({"example", "examples", "default", "enum", "const"})
# Keys whose values are objects with names of the vendor's as keys.
_NAMED: Final = frozenset({"properties", "patternProperties", "schemas", "responses", "parameters", "headers"})


def _references(document: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """All `$ref` of a document in their order: the keys that lead to each, and its target."""
    for place, node in _nodes(document):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            yield (*place, "$ref"), node["$ref"]


def _nodes(document: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """All objects and lists of a document in their order, each with the keys that lead to it. What looks so in an
    example is data, and left out.
    """
    left: list[tuple[tuple[str | int, ...], Any, bool]] = [((), document, False)]
    while left:
        place, node, names = left.pop()
        if not names:
            yield place, node
        inner: Iterable[tuple[str | int, Any]] = node.items() if isinstance(node, dict) else enumerate(node)
        left += [
            ((*place, key), value, not names and key in _NAMED)
            for key, value in inner
            if isinstance(value, dict | list) and (names or not (key in _DATA or str(key).startswith("x-")))
        ][::-1]
