"""What runtimes owe the process they live in: nothing lost at its exit, nothing told twice after a fork.

Floor 4 (wrap). Runs on the thread that ends or forks the process.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Final, Protocol

EXIT_TIMEOUT_S: Final = 2.0


class Resident(Protocol):
    """What lives as long as the process, and has a word to say when that ends or is doubled."""

    def shutdown(self, timeout_s: float) -> bool:
        """Tell what is left; return whether all of it got through in time."""
        ...

    def forget_the_parent(self) -> None:
        """Begin anew in a forked child."""
        ...


_residents: weakref.WeakSet[Resident] = weakref.WeakSet()


def register(resident: Resident) -> None:
    """See to `resident` at exit and after a fork, for as long as somebody refers to it."""
    _residents.add(resident)


def leave() -> None:
    """Tell what ended, and what still runs as interrupted, before the interpreter goes."""
    for resident in list(_residents):
        resident.shutdown(EXIT_TIMEOUT_S)


def leave_before_providers() -> None:
    """Make `leave` the next to run at exit: a tracer provider shuts itself down there as well.

    Exit functions run last in, first out, so this is renewed whenever a new provider comes to be used.
    """
    atexit.unregister(leave)
    atexit.register(leave)
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        # A child of `multiprocessing` skips `atexit`. Higher priorities go first; exporters have 0.
        multiprocessing.util.Finalize(None, leave, exitpriority=10)


def _forget_the_parent() -> None:
    for resident in list(_residents):
        resident.forget_the_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)
