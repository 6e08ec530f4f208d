"""The messages of the model server, and how lists show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Final

from fake_time import World
from featherhq._core.responses import Response
from model_server_options import Chance, Options
from model_server_records import INBOUND, OUTBOUND, Row
from model_server_responses import Responses

_DEFAULT_PAGE: Final = 50


class Messages:
    """The messages of a server.

    Args:
        world: The world that has the server.
        options: The server's options.
        chance: Its random choices.
        responses: Makes its responses.

    Attributes:
        rows: The messages of each thread, in the server's order.
        by_id: All messages, by their id.
    """

    def __init__(self, world: World, options: Options, chance: Chance, responses: Responses) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.by_id: dict[str, Row] = {}
        self._world, self._options, self._chance, self._responses = world, options, chance, responses
        # The cursors of the pages so far, each with its thread.
        self._cursors: set[tuple[str, str]] = set()
        self._made = 0

    def add(
        self,
        thread_id: str,
        text: str,
        direction: str,
        *,
        listed_after: float | None = None,
        ago: float = 0.0,
        stamp_skew: float = 0.0,
    ) -> Row:
        """Add a message. The arguments are as for `ModelServer.say`."""
        made_at, options = self._world.now - ago, self._options
        self._made += 1
        lag = self._chance.draw(options.lag) if listed_after is None else listed_after
        lower = self._chance.random.choice([1.5, 2.5]) if self._chance.happens(options.misplaced) else 0.0
        row = Row(
            number=self._made,
            id=self._chance.new_id(),
            thread_id=thread_id,
            direction=direction,
            text=text.replace("&", "&amp;") if options.escape else text,
            made_at=made_at,
            stamp=self._responses.stamp(made_at + stamp_skew, direction),
            visible_at=made_at + lag,
            rank=self._made + lower,
        )
        self.rows[thread_id].append(row)
        self.by_id[row.id] = row
        return row

    def expected(self, thread_id: str, since: float) -> list[Row]:
        """As `ModelServer.expected`."""
        return [
            row
            for row in self.rows[thread_id]
            if row.direction == OUTBOUND and row.made_at >= since and row.deleted_at == math.inf
        ]

    def received(self, thread_id: str) -> list[str]:
        """As `ModelServer.received`."""
        return [row.text for row in self.rows[thread_id] if row.direction == INBOUND]

    def page(self, thread_id: str, params: Mapping[str, str]) -> tuple[Response, Sequence[Row]]:
        """The response to a request for a page of the list, and the messages in it."""
        options = self._options
        as_of = self._world.now - (options.stale_by if self._chance.happens(options.stale_list) else 0.0)
        limit = params.get("limit", "")
        size = min(int(limit) if limit.isdecimal() else _DEFAULT_PAGE, options.largest_page)
        rows = sorted(self.rows[thread_id], key=attrgetter("rank"), reverse=options.newest_first)
        cursor = params.get("cursor")
        if cursor is not None:
            if self._is_valid(thread_id, cursor, as_of):
                rows = rows[1 + next(place for place, row in enumerate(rows) if row.id == cursor) :]
            elif options.bad_cursor == "empty":
                rows = []
            else:
                return self._responses.error(options.bad_cursor), ()
        directions = {params.get("direction"), None}
        listed = (
            row
            for row in rows
            if row.visible_at <= as_of < row.deleted_at and (len(directions) == 1 or row.direction in directions)
        )
        shown = list(islice(listed, size))
        next_cursor = shown[-1].id if next(listed, None) is not None else None
        if next_cursor is not None:
            self._cursors.add((thread_id, next_cursor))
        return self._responses.page(shown, size, next_cursor), shown

    def _is_valid(self, thread_id: str, cursor: str, as_of: float) -> bool:
        row = self.by_id.get(cursor)
        exists = row is not None and row.thread_id == thread_id and row.deleted_at > as_of
        return exists and (self._options.any_cursor or (thread_id, cursor) in self._cursors)
