"""One of the two states of the contract that are compared. Pure."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from documents import operations
from origins import Origins
from package_view import reached


@frozen
class Side:
    """One of the two states of the contract.

    Attributes:
        vendor: The vendor's contract.
        shown: What the generated package shows of it: a document of `package_view.py`.
        functions: The generated function of each operation, by path and method.
        origins: Where the places of `shown` come from.
        reach: The operations that need each component of `shown`, each as its path and method.
    """

    vendor: Any
    shown: Any
    functions: dict[tuple[str, str], str]
    origins: Origins = field(init=False)
    reach: dict[str, set[tuple[str, str]]] = field(init=False)

    @origins.default
    def _find_origins(self) -> Origins:
        return Origins(self.shown, self.vendor)

    @reach.default
    def _find_reach(self) -> dict[str, set[tuple[str, str]]]:
        components = (self.shown.get("components") or {}).get("schemas") or {}
        needed = {(path, method): reached(components, node) for path, method, node in operations(self.shown)}
        return {name: {one for one, names in needed.items() if name in names} for name in components}
