"""All cases of the hostile tests."""

from __future__ import annotations

from typing import Final

from hostile_bodies import (
    bodies,
    chunks,
    lengths,
    packings,
)
from hostile_connections import (
    connections,
)
from hostile_heads import error_fields, error_texts, heads, waits
from hostile_json import odd_ids, odd_receipts, unreadable
from hostile_lists import cursors, lists, odd_rows
from hostile_streams import (
    bombs,
    floods,
    no_messages,
    no_streams,
    odd_messages,
    retry_fields,
)

CASES: Final = [
    *unreadable(),
    *odd_ids(),
    *odd_receipts(),
    *bodies(),
    *lengths(),
    *chunks(),
    *packings(),
    *heads(),
    *waits(),
    *error_texts(),
    *error_fields(),
    *retry_fields(),
    *floods(),
    *bombs(),
    *no_messages(),
    *odd_messages(),
    *no_streams(),
    *lists(),
    *cursors(),
    *odd_rows(),
    *connections(),
]
