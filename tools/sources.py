"""Read what can be merged into the contract: a page of the vendor's reference, or a whole OpenAPI document."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from attrs import field, frozen
from documents import ContractError, check_valid, line_of, operations, parse_json, parse_yaml, read_text
from json_reader import is_json
from markdown_it import MarkdownIt
from nodes import Map

_HEADING: Final = "OpenAPI"
# The OpenAPI blocks of the vendor open with four backticks. The examples of a page open with three.
_FENCE: Final = "````"


@frozen
class Source:
    """A source to merge into the contract.

    Attributes:
        name: The name of its file, for messages.
        document: Its OpenAPI document. The line numbers in it are those of the file.
        whole: Whether it is the vendor's whole contract, and not one page of the reference.
    """

    name: str
    document: Map = field(repr=False)
    whole: bool

    def at(self, *keys: str | int) -> str:
        """The file and the line of a key. If the key does not exist, those of the nearest key above it."""
        return f"{self.name}:{line_of(self.document, keys)}"


def read_page(path: Path) -> Source:
    """Read the OpenAPI of a page: the only `yaml` block with four backticks below the heading `## OpenAPI`.

    Raises:
        ContractError: the page has no such block or several, or the block is not OpenAPI.
    """
    text = read_text(path)
    lines = text.split("\n")
    section, heading = "", 0
    blocks: list[tuple[int, str]] = []
    elsewhere: list[int] = []
    tokens = MarkdownIt().parse(text)
    for index, token in enumerate(tokens):
        start, end = token.map or (0, 0)
        if token.type == "heading_open" and token.tag in {"h1", "h2"}:
            section = tokens[index + 1].content.strip() if token.tag == "h2" else ""
            heading = start + 1 if section == _HEADING else heading
        if token.type == "fence" and token.info.split()[:1] == ["yaml"] and token.markup.startswith(_FENCE):
            if not re.fullmatch(r"\s*`{4,}\s*", lines[end - 1]):
                raise ContractError(
                    f"{path.name}:{start + 1}: this block is never closed: is the page all there? Save all of it again"
                )
            if section == _HEADING:
                blocks.append((start, token.content))
            else:
                elsewhere.append(start + 1)
    if not blocks:
        where = f":{heading}: nothing under this heading" if heading else f":1: no heading '## {_HEADING}'"
        hint = f"; line {elsewhere[0]} opens one elsewhere" if elsewhere else ""
        raise ContractError(
            f"{path.name}{where}: expected a block that opens with {_FENCE}yaml under it{hint}. "
            "Save the page as Markdown"
        )
    if len(blocks) > 1:
        first, second = (start + 1 for start, _ in blocks[:2])
        raise ContractError(
            f"{path.name}:{second}: a second block; the first opens on line {first}. Make a page of each block"
        )
    start, content = blocks[0]
    # The empty lines give the parser the line numbers of the page.
    return _source(path.name, "\n" * (start + 1) + content, whole=False)


def read_spec(path: Path) -> Source:
    """Read a whole OpenAPI document.

    Raises:
        ContractError: the file cannot be read, or is not an OpenAPI document.
    """
    return _source(path.name, read_text(path), whole=True)


def _source(name: str, text: str, *, whole: bool) -> Source:
    # JSON is nearly YAML. But not all of it is, and a reader of JSON is faster.
    parse = parse_json if Path(name).suffix.lower() == ".json" or is_json(text) else parse_yaml
    document = parse(text, name)
    if not isinstance(document, Map):
        line = len(text) - len(text.lstrip("\n")) + 1
        raise ContractError(
            f"{name}:{line}: expected an OpenAPI document, an object with 'paths'. Save the vendor's document here"
        )
    source = Source(name, document, whole)
    # The operations and components are checked after the merge, because a page may refer to components that are in the
    # contract, and because a check of a large document takes seconds.
    check_valid(document, lambda keys: source.at(*keys), outline=True)
    if not any(True for _ in operations(document)):
        raise ContractError(f"{source.at('paths')}: there is no operation here. Import a page that has one")
    return source
