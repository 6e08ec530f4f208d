"""Bring pages of the vendor's reference, or a whole OpenAPI document, into `openapi.yaml`.

    python tools/contract.py --page page.md --page another.md
    python tools/contract.py --spec document.yaml        # or .json

The tool adds all operations, components and security schemes of the source. If one cannot be added, it adds none. Lines
of `openapi.yaml` that need no change keep every byte. The tool puts new lines into the text, and compares the new text
with the merged document before it writes the file.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen
from documents import (
    ROOT,
    ContractError,
    check_valid,
    line_of,
    objects,
    operations,
    parse_yaml,
    plain,
    read_text,
    run,
    same,
)
from nodes import Map, ReadError
from sources import Source, read_page, read_spec
from splice import Splice, merged
from trial import check_can_be_generated
from yaml_reader import read

CONTRACT: Final = "openapi.yaml"
# A new contract takes these from the source. An existing contract keeps its own: they show which API it describes.
_IDENTITY: Final = ("openapi", "info", "servers", "security")


@frozen
class Contract:
    """The contract. Without a contract, its text and its document are empty.

    Attributes:
        text: Its text.
        document: What the text says.
        newline: How its lines end.
    """

    text: str = field(repr=False)
    document: Map = field(repr=False)
    newline: str = "\n"

    def at(self, *keys: str | int) -> str:
        """The file and the line of a key. If the key does not exist, those of the nearest key above it."""
        return f"{CONTRACT}:{line_of(self.document, keys)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, action="append", default=[], help="a page of the vendor's reference")
    parser.add_argument("--spec", type=Path, action="append", default=[], help="a whole OpenAPI document, YAML or JSON")
    parser.add_argument("--make", action="store_true", help="take the files from PAGE and SPEC in the environment")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder with openapi.yaml")
    given = parser.parse_args(arguments)
    try:
        pages, specs = given.page, given.spec
        if given.make:
            pages, specs = (named_files(os.environ.get(name, "")) for name in ("PAGE", "SPEC"))
        if not pages and not specs:
            raise ContractError("nothing to bring in: make contract PAGE=page.md, or SPEC=openapi.json")  # noqa: TRY301
        sources = [*map(read_page, pages), *map(read_spec, specs)]
        before = after = read_contract(given.root / CONTRACT)
        for source in sources:
            after, report = merge(after, source)
            print(source.name, *(f"  {line}" for line in report), sep="\n")
        if after.text == before.text:
            print(f"{CONTRACT} has all of it already; nothing was written.")
            return 0
        check_can_be_generated(plain(after.document), given.root, sources)
        _write(given.root / CONTRACT, after)
    except ContractError as error:
        print(f"error: {error}\n{CONTRACT} is as it was.", file=sys.stderr)
        return 1
    kept = set(_comments(after.text))
    lost = [line for line in _comments(before.text) if line not in kept]
    if lost:
        print("These comments stood in what was replaced:", *(f"  {line}" for line in lost), sep="\n")
    print(f"{CONTRACT} is written. Next: make generate, make contract-diff BASE=HEAD")
    return 0


def named_files(names: str) -> list[Path]:
    """The files that a variable of `make` names: one file, whose name may have blanks, or several with blanks between.

    Raises:
        ContractError: some of the files do not exist.
    """
    if os.path.isfile(names):  # noqa: PTH113 - a list of many files is too long for the name of one
        return [Path(names)]
    paths = [Path(name) for name in names.split()]
    for path in paths:
        if len(paths) > 1 and not path.exists():
            raise ContractError(f"{path}: there is no such file. If a name has blanks, import its file alone")
    return paths


def read_contract(path: Path) -> Contract:
    """Read the contract, if there is one.

    Raises:
        ContractError: it cannot be read, or is not a valid OpenAPI document.
    """
    text = read_text(path) if path.exists() else ""
    newline = "\r\n" if text and b"\r\n" in path.read_bytes() else "\n"
    document = parse_yaml(text, CONTRACT)
    if document is None:
        return Contract(text, Map(), newline)
    if not isinstance(document, Map):
        raise ContractError(
            f"{CONTRACT}:{line_of(document, ())}: expected an OpenAPI document, an object with 'paths'. "
            "Restore the file, or remove it to begin a new contract"
        )
    contract = Contract(text, document, newline)
    check_valid(document, lambda keys: contract.at(*keys))
    return contract


def merge(ours: Contract, source: Source) -> tuple[Contract, list[str]]:
    """Merge a source into the contract. Returns the new contract, and lines that say what has changed.

    Raises:
        ContractError: the source describes another API, or contradicts the contract, or its OpenAPI is not valid.
    """
    if ours.document:
        _check_same_api(ours, source)
    _check_components(ours, source)
    wanted = _wanted(ours.document, source.document)
    expected = merged(ours.document, wanted)
    splice = Splice(ours.text)
    result = ours
    if not same(expected, ours.document):
        check_valid(expected, _teller(ours, source))
        splice.merge(ours.document, wanted)
        result = _spliced(ours, splice, expected)
    return result, [*_report(ours.document, source.document), *splice.report, *_notes(ours.document, source)]


def _teller(ours: Contract, source: Source) -> Callable[[Sequence[str | int]], str]:
    """Gives the place of keys of the merged document: in the source, or in the contract if only that has them."""

    def tell(keys: Sequence[str | int]) -> str:
        only_ours = _has(ours.document, keys) and not _has(source.document, keys)
        return ours.at(*keys) if only_ours else source.at(*keys)

    return tell


def _has(node: Any, keys: Sequence[str | int]) -> bool:
    for key in keys:
        if isinstance(node, dict) and key in node:
            node = node[str(key)]
        elif isinstance(node, list) and isinstance(key, int) and key < len(node):
            node = node[key]
        else:
            return False
    return True


def _spliced(ours: Contract, splice: Splice, expected: dict[str, Any]) -> Contract:
    """The contract with the edits, after a check that its text says what was expected.

    Raises:
        ContractError: the text of the contract cannot be edited line by line.
    """
    remedy = (
        "so it cannot be changed line by line. Give each key a line of its own there, without braces, "
        "anchors, aliases and '<<', and import it again"
    )
    if ours.document and not ours.document.block:
        raise ContractError(f"{ours.at()}: the YAML here is unusual, {remedy}")
    text = splice.text()
    try:
        document = read(text)
    except ReadError as error:
        raise ContractError(f"{CONTRACT}:{splice.origin(error.line)}: the YAML here is unusual, {remedy}") from error
    if not same(document, expected):
        place = _differing(document, expected)
        raise ContractError(f"{ours.at(*place)}: the YAML here is unusual, {remedy}")
    return evolve(ours, text=text, document=document)


def _differing(document: Any, other: Any) -> tuple[str, ...]:
    """The keys of the first place where a document differs from other data. They lead to no value of an alias."""
    if not isinstance(document, Map) or not isinstance(other, dict):
        return ()
    for key in {**other, **document}:
        if key not in document or key not in other:
            return (key,)
        if not same(document[key], other[key]):
            spot = document.spots.get(key)
            return (key,) if spot and spot.alias else (key, *_differing(document[key], other[key]))
    return ()


def _check_same_api(ours: Contract, source: Source) -> None:
    """Check that a source has the title, a server and the OpenAPI version of the contract."""
    theirs, known = source.document, ours.document
    title, our_title = theirs["info"]["title"], known["info"]["title"]
    if title != our_title:
        raise ContractError(
            f"{source.at('info', 'title')}: this is {title!r}, and {ours.at('info', 'title')} is {our_title!r}. "
            "Import pages of the same API, or change the title there if the vendor has renamed the API"
        )
    here, there = ({str(server["url"]).rstrip("/") for server in side.get("servers", ())} for side in (known, theirs))
    if here and not here & there:
        raise ContractError(
            f"{source.at('servers')}: its server is {', '.join(sorted(there)) or 'not named'}, "
            f"and that of {ours.at('servers')} is {', '.join(sorted(here))}. "
            "Import pages of the same server, or add the server there if it is the same API"
        )
    form, our_form = str(theirs["openapi"]), str(known["openapi"])
    if form.split(".")[:2] != our_form.split(".")[:2]:
        raise ContractError(
            f"{source.at('openapi')}: this is OpenAPI {form}, and {ours.at('openapi')} is {our_form}. "
            f"If the source uses nothing in which they differ, change its `openapi:` line to {our_form}. "
            f"If the vendor has moved to {form} as a whole, change the `openapi:` line of {CONTRACT} by hand. "
            "Note that 3.1 writes `nullable: true` as `type: [..., 'null']`"
        )


def _wanted(ours: Map, theirs: Map) -> Map:
    """The part of a source to merge into the contract."""
    wanted = {key: value for key, value in theirs.items() if key in (*_IDENTITY, "paths", "components")}
    wanted |= {key: ours[key] for key in _IDENTITY if key in ours}
    if "security" in ours and "security" in theirs and not same(ours["security"], theirs["security"]):
        # Operations without their own `security` use that of their document. In the contract they would use another
        # one, so it is written into each of them.
        paths = dict(theirs["paths"])
        for path, method, operation in operations(theirs):
            secured = _with(operation, {"security": theirs["security"], **operation})
            paths[path] = _with(paths[path], {**paths[path], method: secured})
        wanted["paths"] = _with(theirs["paths"], paths)
    return theirs.having(wanted)


def _with(node: dict[str, Any], items: dict[str, Any]) -> dict[str, Any]:
    return node.having(items) if isinstance(node, Map) else items


def _check_components(ours: Contract, source: Source) -> None:
    """Check that a page does not change a component of the contract. A whole document may change components."""
    if source.whole:
        return
    known = dict(objects(ours.document.get("components")))
    for section, named in objects(source.document.get("components")):
        for name, component in named.items():
            there = known.get(section, {})
            if name in there and not same(there[name], component):
                raise ContractError(
                    f"{source.at('components', section, name)}: its components.{section}.{name} is not that of "
                    f"{ours.at('components', section, name)}. If the vendor has changed it, change it there, and "
                    "import the page again"
                )


def _report(ours: Map, theirs: Map) -> Iterator[str]:
    """A line for each operation of a source: whether it is new or has changed."""
    known = {(path, method): operation for path, method, operation in operations(ours)}
    for path, method, operation in operations(theirs):
        there = known.get((path, method))
        word = "new" if there is None else "as it was" if same(there, operation) else "changed"
        yield f"{method.upper()} {path}: {word}"


def _notes(ours: Map, source: Source) -> Iterator[str]:
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


def _write(path: Path, contract: Contract) -> None:
    """Replace a file in one step, so that a failure leaves the old one."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(contract.text, "utf-8", newline=contract.newline)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise ContractError(f"{path}: {error.strerror}. Make room, or correct its permissions") from error


if __name__ == "__main__":
    run(main)
