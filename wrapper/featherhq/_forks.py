"""Repair objects in a forked child process.

A child gets a copy of its parent's memory, but only the thread that called `fork`. If another thread held a lock, the
child's copy of that lock is never released. Work of other threads never continues in the child. The child shares the
connections of its parent, and must not use them.
"""

from __future__ import annotations

import os
import sys
import weakref
from importlib import import_module
from typing import Final, Protocol


class Forkable(Protocol):
    """An object that must be repaired in a forked child."""

    def forked(self) -> None:
        """Make the object usable in the child. Do not change what the parent still uses, such as its connections."""


_made: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()


def renew(one: Forkable) -> None:
    """Call `forked` of an object in each child that is forked while the object exists."""
    _made.add(one)


def _before() -> None:
    """Import all modules that are otherwise imported late, before the process forks.

    If another thread imported one of them during the fork, its import lock would stay locked in the child. Then the
    child could never import that module.
    """
    if not _made:
        return
    import pkgutil

    import_module("featherhq._threads.conversation")
    import_module("featherhq._unset")
    if "opentelemetry.trace" in sys.modules:
        import_module("featherhq._telemetry.spans")
    models = import_module("featherhq_api.models")
    for name in models.__all__:
        getattr(models, name)
    operations = import_module("featherhq_api.api.threads")
    for module in pkgutil.iter_modules(operations.__path__, operations.__name__ + "."):
        import_module(module.name)


def _in_child() -> None:
    for one in list(_made):
        one.forked()


if hasattr(os, "register_at_fork"):  # pragma: no branch - without it, no process can fork
    os.register_at_fork(before=_before, after_in_child=_in_child)
