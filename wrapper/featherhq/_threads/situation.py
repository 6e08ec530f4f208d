"""What streams and scans of one conversation share. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from featherhq._core.slots import Priority, Urgency
from featherhq._threads.table import Regions

if TYPE_CHECKING:
    from collections.abc import Callable

    from featherhq._core.events import Listener
    from featherhq._threads.experience import Experience
    from featherhq._threads.messages import Messages


@define(eq=False)
class Situation:
    """What streams and scans share. All times are in seconds of the monotonic clock.

    Attributes:
        began: When the conversation began.
        experience: What is known about the server, shared by all conversations of a client.
        messages: What is known about the messages.
        random: Gives a number from 0 to 1, for the jitter.
        listen: Hears of events.
        regions: The states.
        asking: Whether somebody waits for a reply.
        active_at: When something happened last: a message came, or one of ours was accepted.
        scans: How many scans have been made since then.
        heard_from: Since when there is a stream without a gap.
        lost_at: When the last stream was lost.
        stalled: Whether that one was given up because it was silent for too long.
        failures: How many streams in a row have brought nothing: they failed to open, or ended young.
        refusals: How many streams in a row were refused.
        scanning: How urgent the scan under way is.
        suspects: Messages that only the list has shown while a stream was open, by id, each with the time by which the
            stream has to bring it.
    """

    began: float
    experience: Experience
    messages: Messages
    random: Callable[[], float]
    listen: Listener
    regions: Regions = field(init=False)
    asking: bool = False
    active_at: float = field(init=False)
    scans: int = 0
    heard_from: float = field(init=False)
    lost_at: float = float("-inf")
    stalled: bool = False
    failures: int = 0
    refusals: int = 0
    scanning: Urgency = field(factory=lambda: Urgency(Priority.CHECK))
    suspects: dict[str, float] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.regions = Regions(self.began)
        self.active_at = self.heard_from = self.began

    def note_activity(self, at: float) -> None:
        """A new message has come, so that more may come soon."""
        self.active_at, self.scans, self.failures = at, 0, 0
