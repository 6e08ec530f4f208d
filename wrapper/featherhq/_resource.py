"""What clients, threads and conversations have in common: they hold connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import Signature
from typing import TYPE_CHECKING, NoReturn, Self

from featherhq.errors import NotMadeByUsersError, UncopiableError


class Resource:
    """Something that cannot be copied or sent to another process."""

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise UncopiableError(
            f"{kind} objects cannot be copied or pickled, because they hold connections and the API key",
            hint="Make a client in each process that needs one, and pass on the ids of threads: feather.thread(id).",
        )


class Returned(Resource):
    """A resource that calls of this library return. Its class takes no arguments of users, and cannot be called."""

    # How to get one.
    _from = ""

    # Type checkers, `help()` and `inspect` see a class without arguments. At run time, an argument, such as the id of a
    # thread, must not hide the error below.
    if not TYPE_CHECKING:  # pragma: no branch - it is true at run time
        __signature__ = Signature()

        def __new__(cls, *_: object, **__: object) -> NoReturn:
            """Not for users: calls of this library make these objects."""
            raise NotMadeByUsersError(
                f"{cls.__name__}() cannot be called: other calls return {cls.__name__} objects", hint=cls._from
            )

    @classmethod
    def _made(cls) -> Self:
        return object.__new__(cls)


class AsyncResource(Resource, ABC):
    """A resource that is closed asynchronously. `close` and `aclose` do the same."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close it."""

    async def close(self) -> None:
        """As `aclose`."""
        await self.aclose()
