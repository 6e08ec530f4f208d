"""Find out whether a package can be generated from a contract, before the contract is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from documents import ContractError, load_yaml, operations
from generate import prepared, run_generator, with_overlay
from sources import Source


def check_can_be_generated(document: dict[str, Any], root: Path, sources: Iterable[Source]) -> None:
    """Check that openapi-python-client can read a contract.

    Args:
        document: The contract.
        root: The folder with its overlay, if there is one. Actions that match nothing are left out.
        sources: Where the contract's new parts came from.

    Raises:
        ContractError: it cannot. The message names the place in the source.
    """
    overlay = root / "openapi.overlay.yaml"
    document = with_overlay(document, load_yaml(overlay) if overlay.exists() else None, unmatched=[])
    document, overrides = prepared(document, warn=lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        errors = run_generator(document, overrides, Path(folder), None)
    if errors:
        raise ContractError(
            f"{_place(errors[0], sources)}: openapi-python-client cannot make a function of this: {errors[0]}. "
            "Describe it in another way in this file, or leave it out, and import it again"
        )


def _place(error: str, sources: Iterable[Source]) -> str:
    """The line of what an error is about."""
    for source in sources:
        for path, method, _ in operations(source.document):
            if f"{method.upper()} {path} " in error:
                return source.at("paths", path, method)
    for source in sources:
        for name in (source.document.get("components") or {}).get("schemas") or ():
            if name in error.split():
                return source.at("components", "schemas", name)
    return next(iter(sources)).at("paths")
