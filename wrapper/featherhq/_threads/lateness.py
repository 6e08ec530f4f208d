"""How late the list shows what is known to exist. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Collection

    from featherhq._threads.experience import Experience
    from featherhq._threads.history import HistoryScan

# All times are in seconds.
# What the list has not shown for this long is not late, but gone.
_GONE: Final = 30.0
# A list is fresh if it shows what is not older than this.
_A_MOMENT_AGO: Final = 0.5


class Lateness:
    """What the list of one conversation lacks.

    Args:
        experience: What is known about the server. What the lists show is added.
    """

    def __init__(self, experience: Experience) -> None:
        self._experience = experience
        # What the last list lacked, by id, each with how old it was then.
        self._missing: dict[str, float] = {}

    def note(self, scan: HistoryScan, began: float, known: OrderedDict[str, float], others: Collection[str]) -> bool:
        """Whether the list lacks what is known to exist. What it lacked before and shows now tells how much it lags.

        Args:
            scan: The scan that has read the list.
            began: When it began, in seconds of the monotonic clock.
            known: Ids of known messages, each with when it became known, in that order.
            others: Those of them that do not concern the conversation.
        """
        ids = {message.id for message in scan.listed}
        for id_ in ids & self._missing.keys():
            self._experience.list_lagged(self._missing.pop(id_), began - known[id_])
        lags = False
        self._missing = {}
        for id_ in reversed(known):
            at = known[id_]
            if at < began - _GONE or (scan.from_anchor and scan.begins_after(id_)):
                break
            if began - _A_MOMENT_AGO < at < began and id_ in ids:
                self._experience.list_was_fresh()
            if at < began and id_ not in ids and id_ not in others:
                self._missing[id_] = began - at
                lags = True
        return lags
