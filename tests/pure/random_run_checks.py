"""The checks after a random run: messages, their order, their delay, and the number of requests."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from flow_scenarios import HOUR, KEY, Chat
from model_server import INBOUND, Row, check_once, check_order
from random_run_setup import Attempt, Setup
from random_run_troubles import Troubles
from random_run_users import Users

# Within so many seconds a message comes after the troubles: without a stream, at the next scan.
_SOON: Final = 35.0
# If streams leave out messages, or lists show them late, and no caller waits for a reply, a message comes later.
_AT_THE_NEXT_CHECK: Final = 345.0


class Checks:
    """All checks of one run.

    Args:
        setup: The world of the run.
        users: The users.
        troubles: The troubles.
    """

    def __init__(self, setup: Setup, users: Users, troubles: Troubles) -> None:
        self._setup, self._users, self._troubles = setup, users, troubles
        self._world, self._server, self._options = setup.world, setup.server, setup.options

    def check(self, said: list[Row]) -> None:
        """Check everything, and note the totals.

        Args:
            said: The messages that the agent sent after the troubles.
        """
        self._check_sent()
        setup, thread_id = self._setup, self._setup.scenario.thread_id
        for chat in setup.chats:
            gone = [row for row in self._troubles.deleted if row.direction != INBOUND]
            owed = self._server.expected(thread_id, chat.began)
            since = self._users.opened.get(chat, self._world.now)
            gone += [row for row in owed if row.made_at < since]
            check_once([row for row in owed if row.made_at >= since], chat.handed, or_not=gone)
            self._check_order(chat)
            self._check_soon(chat, said)
        self._check_cost()
        setup.totals.hours = self._world.now / HOUR
        setup.totals.replies = sum(len(chat.handed) for chat in setup.chats)
        setup.totals.sent = sum(attempt.confirmed for attempt in setup.attempts)

    def _check_sent(self) -> None:
        in_thread = Counter(row.text for row in self._setup.rows if row.direction == INBOUND)
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self._setup.attempts:
            attempt.settle()
            attempts[attempt.text].append(attempt)
            assert attempt.process is None or attempt.process.done, (
                f"the call that sends {attempt.text!r} has not ended"
            )
        for text, tried in attempts.items():
            least = sum(attempt.confirmed for attempt in tried)
            most = sum(attempt.error is None or attempt.error.delivered is not False for attempt in tried)
            times = f"{text!r} is {in_thread[text]} times in the thread"
            assert in_thread[text] >= least, f"{times}, but was confirmed {least} times"
            assert in_thread[text] <= most, f"{times}, but was sent at most {most} times"
        receipts = [
            getattr(result, "receipt", result).message_id
            for attempt in self._setup.attempts
            if attempt.process is not None and (result := attempt.process.result) is not None
        ]
        assert len(receipts) == len(set(receipts)), "two calls that sent a message returned the same message"

    def _check_order(self, chat: Chat) -> None:
        # Two conversations with one key do not get the same events, and a machine that sleeps gets none.
        # The check does not know this, so it is done only for one conversation on a machine that never slept.
        if chat in self._users.iterated and len(self._setup.chats) == 1 and not self._troubles.slept:
            slack = 20.0 if self._setup.small else 2.1
            check_order(self._server, chat.thread_id, chat.handed, KEY, slack=slack)

    def _check_soon(self, chat: Chat, said: list[Row]) -> None:
        options = self._options
        within = _AT_THE_NEXT_CHECK if self._setup.leaves_out or self._setup.lags else _SOON
        within += options.lag[1] + options.stale_by
        at = {message.message_id: message.at for message in chat.handed}
        late = max(at[row.id] - row.made_at for row in said)
        assert late <= within, f"a message from after the troubles was handed out {late:.1f} s late"

    def _check_cost(self) -> None:
        cost, totals = self._server.cost(), self._setup.totals
        totals.requests = sum(cost.values())
        totals.streams = cost["streamMessages"]
        scans = self._most_scans()
        pages = 1 + len(self._setup.rows) / self._options.largest_page
        # If the server refuses guessed cursors, each scan reads the list from its beginning.
        each = max(1.0, pages / 4 if self._options.any_cursor else pages)
        assert cost["listMessages"] <= scans * each, f"{cost} is too much for {scans:.0f} scans of {pages:.1f} pages"
        most = self._most_streams()
        assert totals.streams <= most, f"{totals.streams} streams were opened, but at most {most:.0f} are allowed"
        waits = sum(self._world.waits.values())
        allowed = 20 * (totals.requests + 100) + 3 * HOUR * self._world.now / HOUR
        assert waits <= allowed, f"the flows waited {waits} times, but at most {allowed:.0f} times are allowed"

    def _most_scans(self) -> float:
        """Return how many scans are allowed: streams, messages, troubles and time each account for some."""
        setup, hours = self._setup, self._world.now / HOUR
        messages = len(setup.attempts) + sum(row.made_at > 0 for row in setup.rows)
        for_streams, for_messages = 2 * setup.totals.streams, 2 * messages * len(setup.chats)
        return for_streams + for_messages + 20 * setup.totals.troubles + 130 * hours * len(setup.chats)

    def _most_streams(self) -> float:
        """Return how many streams may be opened."""
        setup, hours = self._setup, self._world.now / HOUR
        # If a thread may have only one stream, two conversations in it end each other's stream.
        fight = self._options.one_stream is not None and len(setup.chats) > 1
        life = HOUR if self._options.life is None else sum(self._options.life) / 2
        return (1500 if fight else 60 + 1.6 * HOUR / life) * hours * len(setup.chats) + 12 * setup.totals.troubles
