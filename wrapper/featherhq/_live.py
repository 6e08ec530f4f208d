"""What clients, threads and conversations have in common: they hold connections."""

from __future__ import annotations

from typing import NoReturn

from featherhq.errors import UncopiableError


class Live:
    """Something that cannot be copied, nor sent to another process."""

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise UncopiableError(
            f"a {kind} is neither copied nor pickled, since it holds connections and the API key",
            hint="Make a client in each process that needs one, and hand on the ids of threads: feather.thread(id).",
        )
