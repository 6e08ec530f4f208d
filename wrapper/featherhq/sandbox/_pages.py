"""The parts of a page of threads or messages. Pure, as `_state.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def page_head(details: dict[str, Any]) -> dict[str, Any]:
    """The fields of a page that do not depend on its messages."""
    version = details["agentVersionId"]
    return {
        "agentId": details["agentId"],
        "agentDetails": {**details["agentDetails"], "agentType": "CHAT"},
        "agentVersionId": version,
        "agentVersionDetails": {
            "id": version,
            "version": 1,
            "mode": "FLOW",
            "smsMaxTokens": 256,
            "smsTemperature": 0,
        },
    }


def page_size(limit: str | None, default: int, largest: int) -> int:
    """The size of a page. The contract allows any string: one that is not a number means the default."""
    return min(max(int(limit) if limit and limit.isdecimal() else default, 1), largest)


def pagination(matching: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """The `pagination` of a page with the first `size` of these items."""
    return {"limit": size, "nextCursor": matching[size - 1]["id"] if len(matching) > size else None}


def after(items: Iterable[dict[str, Any]], cursor: str) -> list[dict[str, Any]]:
    """The items after the one with the cursor's id."""
    rest = iter(items)
    for item in rest:
        if item["id"] == cursor:
            return list(rest)
    return []
