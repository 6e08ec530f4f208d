"""Bring pages of the vendor's reference, or a whole OpenAPI document, into `openapi.yaml`.

    python tools/contract.py --page page.md --page another.md
    python tools/contract.py --spec document.yaml        # or .json

Operations, components and security schemes go in, all of them or none. What is there already stays as it stands, to the
byte: the new lines are put into the text, which is held against the merged document before it is written.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen
from documents import ROOT, ContractError, check_valid, line_of, operations, parse_yaml, plain, read_text, run
from markdown_it import MarkdownIt
from ruamel.yaml.comments import CommentedMap
from splice import Splice, merged

CONTRACT: Final = "openapi.yaml"
_HEADING: Final = "OpenAPI"
# The vendor's blocks open with four backticks; three are for the examples of a page.
_FENCE: Final = "````"
# A document that is begun takes these over; in one that is there they are told apart by, and left alone.
_IDENTITY: Final = ("openapi", "info", "servers", "security")
_HALVES: Final = re.compile(r"(?<!\\)\\u[dD][89abAB]..\\u[dD][c-fC-F]..")


@frozen
class Source:
    """What is to be brought in.

    Attributes:
        name: The file, for messages.
        document: Its OpenAPI, on the lines of that file.
        whole: It is all of the vendor's contract, not a page of it.
    """

    name: str
    document: CommentedMap = field(repr=False)
    whole: bool

    def at(self, *keys: str | int) -> str:
        """The file and the line of a key, or of the nearest above it."""
        return f"{self.name}:{line_of(self.document, keys)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, action="append", default=[], help="a page of the vendor's reference")
    parser.add_argument("--spec", type=Path, action="append", default=[], help="a whole OpenAPI document, YAML or JSON")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder with openapi.yaml")
    given = parser.parse_args(arguments)
    contract = given.root / CONTRACT
    if not given.page and not given.spec:
        print("error: nothing to bring in: make contract PAGE=page.md, or SPEC=openapi.json", file=sys.stderr)
        return 1
    try:
        sources = [*map(read_page, given.page), *map(read_spec, given.spec)]
        before = read_text(contract) if contract.exists() else ""
        after = before
        for source in sources:
            after, told = merge(after, source)
            print(source.name, *(f"  {line}" for line in told), sep="\n")
        if after == before:
            print(f"{CONTRACT} has all of it already; nothing was written.")
            return 0
        _write(contract, after)
    except ContractError as error:
        print(f"error: {error}\n{CONTRACT} is as it was.", file=sys.stderr)
        return 1
    lost = [line for line in _comments(before) if line not in _comments(after)]
    if lost:
        print("These comments stood in what was replaced:", *(f"  {line}" for line in lost), sep="\n")
    print(f"{CONTRACT} is written. Next: make generate, make contract-diff BASE=HEAD")
    return 0


def read_page(path: Path) -> Source:
    """The fragment of a page: the one four-backtick `yaml` block under its heading `## OpenAPI`.

    Raises:
        ContractError: the page has none, or several, or it is no OpenAPI.
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
                raise ContractError(f"{path.name}:{start + 1}: this block is never closed: is the page all there?")
            if section == _HEADING:
                blocks.append((start, token.content))
            else:
                elsewhere.append(start + 1)
    if not blocks:
        where = f":{heading}: nothing under this heading" if heading else f": no heading '## {_HEADING}'"
        hint = f"; line {elsewhere[0]} opens one elsewhere" if elsewhere else ""
        raise ContractError(f"{path.name}{where}: expected a block that opens with {_FENCE}yaml under it{hint}")
    if len(blocks) > 1:
        first, second = (start + 1 for start, _ in blocks[:2])
        raise ContractError(f"{path.name}:{second}: a second block; the first opens on line {first}")
    start, content = blocks[0]
    # The empty lines make the parser count as the page does.
    return _source(path.name, "\n" * (start + 1) + content, whole=False)


def read_spec(path: Path) -> Source:
    """A whole OpenAPI document.

    Raises:
        ContractError: it is none.
    """
    text = read_text(path)
    if path.suffix == ".json":
        try:
            json.loads(text)
        except ValueError as error:
            raise ContractError(f"{path.name}:{getattr(error, 'lineno', 1)}: this is no JSON: {error}") from error
        # JSON is YAML, but for tabs, which stand between its tokens, and for what is beyond 16 bits, which it halves.
        text = _HALVES.sub(lambda pair: str(json.loads(f'"{pair[0]}"')), text.replace("\t", " "))
    return _source(path.name, text, whole=True)


def _source(name: str, text: str, *, whole: bool) -> Source:
    document = parse_yaml(text, name)
    if not isinstance(document, CommentedMap):
        line = len(text) - len(text.lstrip("\n")) + 1
        raise ContractError(f"{name}:{line}: expected an OpenAPI document, an object with 'paths'")
    source = Source(name, document, whole)
    # What it points to may stand in the contract.
    check_valid(plain(document), lambda keys: source.at(*keys), references=False)
    if not any(True for _ in operations(document)):
        raise ContractError(f"{source.at('paths')}: there is no operation here")
    return source


def merge(text: str, source: Source) -> tuple[str, list[str]]:
    """The contract's text with a source merged in, and what was done.

    Raises:
        ContractError: it is of another API, or contradicts what is there.
    """
    ours = parse_yaml(text, CONTRACT)
    if ours is None:
        ours = CommentedMap()
    elif not isinstance(ours, CommentedMap):
        raise ContractError(f"{CONTRACT}: expected an OpenAPI document, an object with 'paths'")
    else:
        check_valid(plain(ours), lambda keys: f"{CONTRACT}:{line_of(ours, keys)}")
        _check_same_api(ours, source)
    wanted = _wanted(ours, source)
    _check_components(ours, source)
    splice = Splice(text)
    splice.merge(ours, wanted)
    result = splice.text()
    expected = merged(plain(ours), plain(wanted))
    if plain(parse_yaml(result, CONTRACT)) != expected:
        raise ContractError(
            f"{source.name} cannot be put into the text of {CONTRACT}: the YAML of one of them is unusual"
        )
    check_valid(expected, lambda keys: source.at(*keys))
    return result, [*_told(ours, source), *splice.told, *_notes(ours, source)]


def _check_same_api(ours: CommentedMap, source: Source) -> None:
    theirs = source.document
    title, known = theirs["info"]["title"], ours["info"]["title"]
    if title != known:
        raise ContractError(f"{source.at('info', 'title')}: this is {title!r}, and {CONTRACT} is {known!r}")
    here, there = ({str(server["url"]).rstrip("/") for server in side.get("servers", ())} for side in (ours, theirs))
    if here and not here & there:
        raise ContractError(
            f"{source.at('servers')}: its server is {', '.join(sorted(there)) or 'not named'}, "
            f"and that of {CONTRACT} is {', '.join(sorted(here))}"
        )
    form, known = str(theirs["openapi"]), str(ours["openapi"])
    if form.split(".")[:2] != known.split(".")[:2]:
        raise ContractError(f"{source.at('openapi')}: this is OpenAPI {form}, and {CONTRACT} is {known}")


def _wanted(ours: CommentedMap, source: Source) -> dict[str, Any]:
    """What of a source goes in."""
    theirs = source.document
    wanted = {key: theirs[key] for key in (*_IDENTITY, "paths", "components") if key in theirs}
    wanted |= {key: ours[key] for key in _IDENTITY if key in ours}
    if "security" in ours and "security" in theirs and plain(ours["security"]) != plain(theirs["security"]):
        # It holds for the operations that say nothing of it, and here another one would.
        for _, _, operation in operations(theirs):
            operation.setdefault("security", copy.deepcopy(theirs["security"]))
    return wanted


def _check_components(ours: CommentedMap, source: Source) -> None:
    """On a page, a component of a known name is the known one. A whole document may change it."""
    if source.whole:
        return
    for section, named in (source.document.get("components") or {}).items():
        known = (ours.get("components") or {}).get(section) or {}
        for name, component in (named or {}).items():
            if name in known and plain(known[name]) != plain(component):
                line = line_of(ours, ("components", section, name))
                raise ContractError(
                    f"{source.at('components', section, name)}: its components.{section}.{name} is not that of "
                    f"{CONTRACT}:{line}. If the vendor has changed it, change it there, and import the page again"
                )


def _told(ours: CommentedMap, source: Source) -> Iterator[str]:
    known = {(path, method): operation for path, method, operation in operations(ours)}
    for path, method, operation in operations(source.document):
        there = known.get((path, method))
        word = "new" if there is None else "as it was" if plain(there) == plain(operation) else "changed"
        yield f"{method.upper()} {path}: {word}"


def _notes(ours: CommentedMap, source: Source) -> Iterator[str]:
    here, there = (str((document.get("info") or {}).get("version")) for document in (ours, source.document))
    if ours.get("info") and here != there:
        yield f"note: its version is {there}, and that of {CONTRACT} is {here}, which stays until you change it"
    if source.whole:
        theirs = {(path, method) for path, method, _ in operations(source.document)}
        for path, method, _ in operations(ours):
            if (path, method) not in theirs:
                yield f"note: it has no {method.upper()} {path}, which stays until you remove it"


def _comments(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.lstrip().startswith("#")]


def _write(path: Path, text: str) -> None:
    """Write all of it or nothing."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, "utf-8")
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise ContractError(f"{path}: {error.strerror}") from error


if __name__ == "__main__":
    run(main)
