"""What became of the messages and replies of `workers.py`, and whether that is good enough."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

from attrs import Factory, define
from featherhq.models import INBOUND
from workers_agents import Agents

MOST_REFUSED: Final = 0.01
"""The largest share of requests that may get a 429."""
LEAST_USED: Final = 0.9
"""The smallest share of the rate limit that must be used while there is work."""


@define
class Report:
    """The counts of a run.

    Attributes:
        wanted: The messages that should be sent, one for each case.
        rate: Requests per second that the sandbox accepts.
        kills: The number of kills, by kind.
        steps: The number of cases, by the step that comes next.
        sent: How often each message is in the sandbox, by its text.
        made: How many replies the agent has made.
        recorded: How often each reply was recorded, by its id.
        requests: The number of requests.
        refused: The number of requests that got a 429.
        busy: The number of seconds in which tasks were waiting all the time.
        accepted: The number of requests that were accepted in these seconds.
    """

    wanted: int
    rate: float
    kills: Counter[str]
    steps: dict[str, int] = Factory(dict)
    sent: Counter[str] = Factory(Counter)
    made: Counter[str] = Factory(Counter)
    recorded: Counter[str] = Factory(Counter)
    requests: int = 0
    refused: int = 0
    busy: int = 0
    accepted: int = 0

    def read(self, database: Path, agents: Agents, waiting: Counter[int]) -> None:
        """Read the database and the sandbox's record.

        Args:
            database: The file.
            agents: The sandbox.
            waiting: The smallest number of waiting tasks that was seen in each second since 1970.
        """
        with sqlite3.connect(database) as connection:
            self.steps = dict(connection.execute("SELECT step, count(*) FROM cases GROUP BY step"))
            self.recorded = Counter(one[0] for one in connection.execute("SELECT message_id FROM replies"))
        for message in agents.messages():
            if message.direction == INBOUND:
                self.sent[message.text] += 1
            else:
                self.made[message.id] += 1
        requests = agents.sandbox.requests
        refused = [one.status == HTTPStatus.TOO_MANY_REQUESTS for one in requests]
        self.requests, self.refused = len(requests), sum(refused)
        # The limit bounds the fleet only while tasks wait for a free child. So a second counts if the queue was at no
        # moment of it seen empty. At the end the last tasks run out, and nothing is left to do with the rate. At the
        # beginning Python starts, so nothing counts before the first request. Later starts, after kills, do count.
        began = min((one.at for one in requests), default=0.0)
        busy = {second for second, least in waiting.items() if least > 0 and second > began}
        self.busy = len(busy)
        self.accepted = sum(int(one.at) in busy for one, no in zip(requests, refused, strict=True) if not no)

    @property
    def used(self) -> float:
        """The share of the rate limit that was used while there was work."""
        return self.accepted / (self.busy * self.rate) if self.busy else 0.0

    def table(self) -> str:
        """The counts as text."""
        sent, made, recorded = self.sent.total(), self.made.total(), self.recorded.total()
        messages = {
            "wanted": self.wanted,
            "in the threads": sent,
            "doubled": sent - len(self.sent),
            "lost": self.wanted - len(self.sent),
        }
        replies = {
            "made": made,
            "recorded": recorded,
            "doubled": recorded - len(self.recorded),
            "lost": len(self.made - self.recorded),
        }
        lines = {
            "jobs": f"{self.wanted}: {_listed(self.steps)}",
            "kills": f"{self.kills.total()}: {_listed(self.kills)}",
            "messages": _listed(messages),
            "replies": _listed(replies),
            "requests": f"{self.requests}, of which {self.refused} got a 429",
            "rate": f"{self.used:.1%} of {self.rate:g} requests per second used, in {self.busy} s with work",
        }
        return "\n".join(f"{name:<10} {value}" for name, value in lines.items())

    def failures(self, kills: int) -> list[str]:
        """What is not good enough. So many kills were wanted."""
        bars = {
            "not all cases are done": self.steps != {"done": self.wanted},
            "too few kills": self.kills.total() < kills,
            "messages doubled": self.sent.total() != len(self.sent),
            "messages lost": len(self.sent) != self.wanted,
            "replies doubled": self.recorded.total() != len(self.recorded),
            "replies lost": bool(self.made - self.recorded),
            "replies recorded that nobody made": bool(self.recorded.keys() - self.made.keys()),
            f"more than {MOST_REFUSED:.0%} of the requests refused": self.refused > MOST_REFUSED * self.requests,
            f"less than {LEAST_USED:.0%} of the rate used": self.used < LEAST_USED,
        }
        return [name for name, missed in bars.items() if missed]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())
