"""All results of a benchmark run, and the medians and ratios that are computed from them."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Any

from attrs import define, field

Result = dict[str, Any]
"""The result of one measurement, see the function of this name in a `measure_*.py`."""


def _lists() -> defaultdict[Any, list[Any]]:
    return defaultdict(list)


@define
class Results:
    """The results of each part. The field of a part that was not measured is empty.

    Attributes:
        rounds: How often the parts of a round are measured.
        throughput: By client and number of tasks, one result for each round.
        sync: One result for each round.
        cpu: One result for each round.
        imports: By client, the milliseconds and kilobytes of each import.
        programs: By client, the milliseconds of each program.
        conversations: By client, one result for each round.
        memory: One result for each round.
        cancellation: By client.
        limiter: The result of `measure_limiter.py`.
        rate_limit: The results of the parts `fleet`, `idle`, `gap` and `callers`, by the names in
            `parts.RATE_LIMIT`.
    """

    rounds: int
    throughput: dict[tuple[str, int], list[Result]] = field(factory=_lists)
    sync: list[Result] = field(factory=list)
    cpu: list[Result] = field(factory=list)
    imports: dict[str, list[tuple[float, float]]] = field(factory=_lists)
    programs: dict[str, list[float]] = field(factory=_lists)
    conversations: dict[str, list[Result]] = field(factory=_lists)
    memory: list[Result] = field(factory=list)
    cancellation: dict[str, Result] = field(factory=dict)
    limiter: Result = field(factory=dict)
    rate_limit: dict[str, Result] = field(factory=dict)


def median_of(results: list[Result], name: str) -> float:
    """Return the median of one value over all rounds."""
    return float(median(result[name] for result in results))


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the ratios of two values of the same round."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))
