"""Bring pages of the vendor's reference, or a whole OpenAPI document, into `openapi.yaml`.

    python tools/contract.py --page page.md --page another.md
    python tools/contract.py --spec document.yaml        # or .json

The tool adds all operations, components and security schemes of the source. If one cannot be added, it adds none. Lines
of `openapi.yaml` that need no change keep every byte. The tool puts new lines into the text, and compares the new text
with the merged document before it writes the file.
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
# The OpenAPI blocks of the vendor open with four backticks. The examples of a page open with three.
_FENCE: Final = "````"
# A new contract takes these from the source. An existing contract keeps its own: they show which API it describes.
_IDENTITY: Final = ("openapi", "info", "servers", "security")
# A character beyond 16 bits in JSON: two escapes, which are the halves of a surrogate pair.
_SURROGATE_PAIR: Final = re.compile(r"(?<!\\)\\u[dD][89abAB]..\\u[dD][c-fC-F]..")


@frozen
class Source:
    """A source to merge into the contract.

    Attributes:
        name: The name of its file, for messages.
        document: Its OpenAPI document. The line numbers in it are those of the file.
        whole: Whether it is the vendor's whole contract, and not one page of the reference.
    """

    name: str
    document: CommentedMap = field(repr=False)
    whole: bool

    def at(self, *keys: str | int) -> str:
        """The file and the line of a key. If the key does not exist, those of the nearest key above it."""
        return f"{self.name}:{line_of(self.document, keys)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
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
            after, report = merge(after, source)
            print(source.name, *(f"  {line}" for line in report), sep="\n")
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
    """Read the OpenAPI of a page: the only `yaml` block with four backticks below the heading `## OpenAPI`.

    Raises:
        ContractError: the page has no such block or several, or the block is not valid OpenAPI.
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
    # The empty lines give the parser the line numbers of the page.
    return _source(path.name, "\n" * (start + 1) + content, whole=False)


def read_spec(path: Path) -> Source:
    """Read a whole OpenAPI document.

    Raises:
        ContractError: the file cannot be read, or is not a valid OpenAPI document.
    """
    text = read_text(path)
    if path.suffix == ".json":
        try:
            json.loads(text)
        except ValueError as error:
            raise ContractError(f"{path.name}:{getattr(error, 'lineno', 1)}: this is no JSON: {error}") from error
        # JSON is YAML, with two exceptions. JSON allows tabs between its tokens. And JSON writes characters beyond 16
        # bits as two escapes.
        text = _SURROGATE_PAIR.sub(lambda pair: str(json.loads(f'"{pair[0]}"')), text.replace("\t", " "))
    return _source(path.name, text, whole=True)


def _source(name: str, text: str, *, whole: bool) -> Source:
    document = parse_yaml(text, name)
    if not isinstance(document, CommentedMap):
        line = len(text) - len(text.lstrip("\n")) + 1
        raise ContractError(f"{name}:{line}: expected an OpenAPI document, an object with 'paths'")
    source = Source(name, document, whole)
    # A page may refer to components that are in the contract. So its references are not checked here.
    check_valid(plain(document), lambda keys: source.at(*keys), references=False)
    if not any(True for _ in operations(document)):
        raise ContractError(f"{source.at('paths')}: there is no operation here")
    return source


def merge(text: str, source: Source) -> tuple[str, list[str]]:
    """Merge a source into the contract's text. Returns the new text, and lines that say what has changed.

    Raises:
        ContractError: the source describes another API, or contradicts the contract.
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
    return result, [*_report(ours, source), *splice.report, *_notes(ours, source)]


def _check_same_api(ours: CommentedMap, source: Source) -> None:
    """Check that a source has the title, a server and the OpenAPI version of the contract."""
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
    """The part of a source to merge into the contract."""
    theirs = source.document
    wanted = {key: theirs[key] for key in (*_IDENTITY, "paths", "components") if key in theirs}
    wanted |= {key: ours[key] for key in _IDENTITY if key in ours}
    if "security" in ours and "security" in theirs and plain(ours["security"]) != plain(theirs["security"]):
        # Operations without their own `security` use that of their document. In the contract they would use another
        # one, so it is written into each of them.
        for _, _, operation in operations(theirs):
            operation.setdefault("security", copy.deepcopy(theirs["security"]))
    return wanted


def _check_components(ours: CommentedMap, source: Source) -> None:
    """Check that a page does not change a component of the contract. A whole document may change components."""
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


def _report(ours: CommentedMap, source: Source) -> Iterator[str]:
    """A line for each operation of a source: whether it is new or has changed."""
    known = {(path, method): operation for path, method, operation in operations(ours)}
    for path, method, operation in operations(source.document):
        there = known.get((path, method))
        word = "new" if there is None else "as it was" if plain(there) == plain(operation) else "changed"
        yield f"{method.upper()} {path}: {word}"


def _notes(ours: CommentedMap, source: Source) -> Iterator[str]:
    """Lines on differences that the merge leaves alone."""
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
    """Replace a file in one step, so that a failure leaves the old one."""
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
