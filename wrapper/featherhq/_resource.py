"""What clients, threads and conversations have in common: they hold connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NoReturn

from featherhq.errors import UncopiableError


class Resource:
    """Something that cannot be copied or sent to another process."""

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise UncopiableError(
            f"{kind} objects cannot be copied or pickled, because they hold connections and the API key",
            hint="Make a client in each process that needs one, and pass on the ids of threads: feather.thread(id).",
        )


class AsyncResource(Resource, ABC):
    """A resource that is closed asynchronously. `close` and `aclose` do the same."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close it."""

    async def close(self) -> None:
        """As `aclose`."""
        await self.aclose()
