"""The faults of `soak.py`: which ones there are, and how they are chosen at random."""

from __future__ import annotations

import random

from featherhq.sandbox import CutAfter, CutBefore, CutStream, Fault, Garbage, Html, Reorder, Sandbox, Stall, Status

LATE = 9.1
"""An answer after so many seconds comes too late. But the client has enough time to find the message."""
FAULTY = 1 / 5
"""The share of sends that have a fault."""
EVENTS_A_STREAM = 20
"""A stream is cut after at most so many events."""

# After each of these faults, the client can send the message again or find it. It must be in the thread once.
KNOWABLE: tuple[Fault, ...] = (
    CutBefore(),
    CutAfter(),
    Garbage(),
    Html(502),
    Status(500),
    Status(500, after=True),
    Status(502, after=True),
    Status(503),
    Status(503, headers={"Retry-After": "0"}),
    Status(504, after=True),
    Status(524, after=True),
    Status(429, headers={"Retry-After": "0.1"}),
    Stall(LATE),
    Stall(LATE, after=True),
)
# After each of these, no client can know whether the message was delivered. No answer comes in time, and the list does
# not contain the message or cannot be read. The second fault is for the list.
UNKNOWABLE: tuple[tuple[Fault, Fault | None], ...] = (
    (Stall(), None),
    (Status(504), None),
    (CutBefore(), Status(403)),
)
UNKNOWABLE_PART = 1 / 25
"""The share of sends with a fault whose fault is one of these."""


def inject_faults(sandbox: Sandbox, thread_id: str, dice: random.Random) -> bool:
    """Perhaps inject a fault for the next message. Return whether the fault is one of `UNKNOWABLE`."""
    if dice.random() >= FAULTY:
        return False
    unknowable = dice.random() < UNKNOWABLE_PART
    if unknowable:
        fault, history = dice.choice(UNKNOWABLE)
    else:
        lists: tuple[Fault, ...] = (Status(500), Reorder(dice.randrange(99)), Html(502))
        fault, history = dice.choice(KNOWABLE), dice.choice(lists) if dice.random() < 1 / 4 else None
    sandbox.inject("sendMessage", fault, thread_id=thread_id)
    if history is not None:
        sandbox.inject("listMessages", history, thread_id=thread_id)
    return unknowable


def stream_fault(dice: random.Random) -> Fault:
    """Choose how the next stream ends. Most streams are cut after `EVENTS_A_STREAM` events."""
    faults: tuple[Fault, ...] = (
        CutStream(after_events=dice.randrange(1, EVENTS_A_STREAM)),
        CutStream(after_bytes=dice.randrange(1, 4000)),
        CutStream(after_events=EVENTS_A_STREAM, clean=True),
        Status(503),
    )
    return dice.choice(faults) if dice.random() < 1 / 4 else CutStream(after_events=EVENTS_A_STREAM)
