"""What has to be made anew in a forked child.

A child has a copy of all that its parent has, but of its threads the one alone that forked: a lock that another held is
held for ever, what another had begun never goes on, and the connections are still the parent's.
"""

from __future__ import annotations

import os
import pkgutil
import weakref
from importlib import import_module
from typing import Final, Protocol


class Forkable(Protocol):
    """Something that does not survive a fork as it is."""

    def forked(self) -> None:
        """Become usable in the child, without touching what is still the parent's."""


_made: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def renew(one: Forkable) -> None:
    """Have it made anew in each child that is forked while it lives."""
    _made.add(one)


def _before() -> None:
    """Have nothing half imported: a child would wait for ever for the thread of its parent that is at it."""
    if not _made:
        return
    import_module("featherhq._threads.conversation")
    import_module("featherhq._unset")
    models = import_module("featherhq_api.models")
    for name in models.__all__:
        getattr(models, name)
    operations = import_module("featherhq_api.api.threads")
    for module in pkgutil.iter_modules(operations.__path__, operations.__name__ + "."):
        import_module(module.name)


def _in_child() -> None:
    for one in list(_made):
        one.forked()


if hasattr(os, "register_at_fork"):  # pragma: no branch - where there is none, nothing forks
    os.register_at_fork(before=_before, after_in_child=_in_child)
