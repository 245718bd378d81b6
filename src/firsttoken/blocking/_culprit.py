"""Whose line blocked the loop, and how: the choice, made from stacks and times alone.

Floor 4, but pure: no clock, no thread, no frame object; the watchdog thread calls it once per block.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["cpu", "io", "gil_or_cpu_wait", "gc"]

MAX_DISTINCT_STACKS = 64
MAX_STACK = 32


class Frame(NamedTuple):
    """One line of a stack, without the frame object that would keep its variables alive."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


Stack = tuple[Frame, ...]
"""Innermost frame first; only frames that the event loop called, so an idle loop has an empty one."""


class Culprit(NamedTuple):
    """The frame that answers for a block, the share of the sampled time it was seen in, and its stack."""

    frame: Frame
    share: float
    stack: Stack


@dataclass(frozen=True, slots=True)
class LoopBlock:
    """One time an event loop was held at or above the threshold.

    thread_id: the loop's thread (`threading.get_ident`).
    started_ns, ended_ns: monotonic times (ns); the start is known within half a threshold.
    file, line, function: the innermost user code seen most of the time, else the innermost library code;
        None where the loop itself was idle or in the standard library.
    stack: "file:line function", outermost first, the innermost 32.
    kind: what the thread did: "cpu", "io" (slept: I/O, sleep, lock), "gil_or_cpu_wait", "gc".
    share: part of the sampled time in which the culprit was on the stack, 0 to 1.
    other_thread: name of the thread the culprit ran in, where that was not the loop's own: it held the
        interpreter, or collected garbage, and the loop could not run.
    """

    thread_id: int
    started_ns: int
    ended_ns: int
    file: str | None
    line: int | None
    function: str | None
    stack: tuple[str, ...]
    kind: Kind
    share: float
    other_thread: str | None = None

    @property
    def duration_ns(self) -> int:
        """Length of the block (ns)."""
        return self.ended_ns - self.started_ns

    @classmethod
    def of(
        cls,
        culprit: Culprit | None,
        stack: Stack,
        thread_id: int,
        started_ns: int,
        ended_ns: int,
        kind: Kind,
        other_thread: str | None,
    ) -> LoopBlock:
        """Put together a block whose culprit was found, or not, on `stack`."""
        frame = None if culprit is None else culprit.frame
        return cls(
            thread_id,
            started_ns,
            ended_ns,
            file=frame and frame.file,
            line=frame and frame.line,
            function=frame and frame.function,
            stack=tuple(str(frame) for frame in reversed(stack[:MAX_STACK])),
            kind=kind,
            share=0.0 if culprit is None else culprit.share,
            other_thread=other_thread,
        )


class Origin(Enum):
    """Whose code a file is."""

    USER = "user"
    LIBRARY = "library"
    STDLIB = "stdlib"
    OURS = "ours"


def _folder(path: str) -> str:
    return os.path.normcase(os.path.abspath(path)) + os.sep


_OURS = _folder(os.path.dirname(__file__))
_STDLIB = tuple(
    {_folder(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    | {_folder(os.path.dirname(os.__file__))}
)
_LIBRARY = tuple({_folder(sysconfig.get_path(name)) for name in ("purelib", "platlib")})
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_DEBUGGERS = frozenset({"bdb.py", "pdb.py", "pydevd.py", "pydevd_frame.py", "pydevd_sys_monitoring.py"})


@lru_cache(maxsize=4096)
def origin(file: str, user_paths: tuple[str, ...] = ()) -> Origin:
    """Tell whose code `file` is; `user_paths` are folders or files that are the user's wherever they lie.

    Generated code (`<string>`, `<attrs generated ...>`) belongs to a library: the line that called it says
    more than a line nobody can open.
    """
    if file.startswith("<"):
        if file.startswith(("<stdin", "<ipython-input", "<python-input")):
            return Origin.USER
        return Origin.STDLIB if file.startswith("<frozen ") else Origin.LIBRARY
    path = os.path.normcase(os.path.abspath(file))
    if any(path == own or path.startswith(own.rstrip(os.sep) + os.sep) for own in map(_normal, user_paths)):
        return Origin.USER
    if path.startswith(_OURS):
        return Origin.OURS
    if path.startswith(_LIBRARY) or not _INSTALLED.isdisjoint(path.split(os.sep)):
        return Origin.LIBRARY
    return Origin.STDLIB if path.startswith(_STDLIB) else Origin.USER


def _normal(path: str) -> str:
    return os.path.normcase(os.path.abspath(path))


def in_debugger(stack: Stack) -> bool:
    """Tell whether somebody is stepping through this code: a stop at a breakpoint is no block."""
    return any(os.path.basename(frame.file) in _DEBUGGERS for frame in stack)


class Samples:
    """The stacks seen during one block, each with the time it stands for. Bounded."""

    __slots__ = ("_weights", "debugged", "total_ns")

    def __init__(self) -> None:
        self._weights: dict[Stack, int] = {}
        self.total_ns = 0
        self.debugged = False

    def __bool__(self) -> bool:
        return self.total_ns > 0

    def add(self, stack: Stack, weight_ns: int) -> None:
        """Count `stack` for `weight_ns`: the time since the sample before."""
        self.total_ns += weight_ns
        self.debugged = self.debugged or in_debugger(stack)
        if stack in self._weights or len(self._weights) < MAX_DISTINCT_STACKS:
            self._weights[stack] = self._weights.get(stack, 0) + weight_ns

    def clear(self) -> None:
        """Forget everything."""
        self._weights.clear()
        self.total_ns = 0
        self.debugged = False

    def heaviest(self) -> Stack:
        """Return the stack that was seen longest, empty if none."""
        return max(self._weights, key=self._weights.__getitem__, default=())

    def culprit(self, user_paths: tuple[str, ...] = ()) -> Culprit | None:
        """Name the frame that answers for the block, None if all was idle or in the standard library."""
        return find_culprit(list(self._weights.items()), self.total_ns, user_paths)


def find_culprit(
    samples: Sequence[tuple[Stack, int]], total_ns: int, user_paths: tuple[str, ...] = ()
) -> Culprit | None:
    """Choose the innermost function present in most of the sampled time, user code before libraries.

    Where no function holds half of the time (many short callbacks in a row), the innermost user function of
    each sample gets its time as votes. Within the chosen function the line seen longest is named.

    samples: stacks with the time each stands for (ns).
    total_ns: all sampled time (ns), at least the sum of the samples.
    """
    for wanted in (Origin.USER, Origin.LIBRARY):
        held, depth = _presence(samples, wanted, user_paths)
        most = [key for key, weight in held.items() if weight * 2 >= total_ns]
        if most:
            return _with_line(max(most, key=depth.__getitem__), samples, total_ns)
    votes: dict[_Function, int] = {}
    for stack, weight in samples:
        voted = _innermost(stack, user_paths)
        if voted is not None:
            votes[voted] = votes.get(voted, 0) + weight
    if not votes or (total_ns - sum(votes.values())) * 2 > total_ns:
        return None
    return _with_line(max(votes, key=votes.__getitem__), samples, total_ns)


_Function = tuple[str, str]


def _presence(
    samples: Iterable[tuple[Stack, int]], wanted: Origin, user_paths: tuple[str, ...]
) -> tuple[dict[_Function, int], dict[_Function, int]]:
    """Return for each function of the wanted origin the time it was on the stack, and how deep at most."""
    held: dict[_Function, int] = {}
    depth: dict[_Function, int] = {}
    for stack, weight in samples:
        seen: set[_Function] = set()
        for index, frame in enumerate(stack):
            key = (frame.file, frame.function)
            if key in seen or origin(frame.file, user_paths) is not wanted:
                continue
            seen.add(key)
            held[key] = held.get(key, 0) + weight
            depth[key] = max(depth.get(key, 0), len(stack) - index)
    return held, depth


def _innermost(stack: Stack, user_paths: tuple[str, ...]) -> _Function | None:
    for wanted in (Origin.USER, Origin.LIBRARY):
        for frame in stack:
            if origin(frame.file, user_paths) is wanted:
                return frame.file, frame.function
    return None


def _with_line(chosen: _Function, samples: Iterable[tuple[Stack, int]], total_ns: int) -> Culprit:
    lines: dict[Frame, int] = {}
    typical: dict[Frame, tuple[int, Stack]] = {}
    for stack, weight in samples:
        frame = next((frame for frame in stack if (frame.file, frame.function) == chosen), None)
        if frame is None:
            continue
        lines[frame] = lines.get(frame, 0) + weight
        if weight > typical.get(frame, (-1, ()))[0]:
            typical[frame] = weight, stack
    best = max(lines, key=lines.__getitem__)
    return Culprit(best, sum(lines.values()) / total_ns if total_ns else 1.0, typical[best][1])


def judge_kind(duration_ns: int, *, cpu_ns: int, gc_ns: int, waited_ns: int) -> Kind:
    """Tell what the blocked thread did most of the time.

    `cpu`: it computed. `io`: it slept, in I/O, a sleep or a lock. `gil_or_cpu_wait`: it was ready to run,
    and another thread held the interpreter or another process the processor. `gc`: the collector ran.

    duration_ns: length of the block.
    cpu_ns: processor time of the loop's thread during it.
    gc_ns: time inside the garbage collector, in whatever thread.
    waited_ns: time known to have been spent ready to run.
    """
    if gc_ns * 2 >= duration_ns:
        return "gc"
    cpu_ns = min(cpu_ns, duration_ns)
    waited_ns = min(waited_ns, duration_ns - cpu_ns)
    asleep_ns = duration_ns - cpu_ns - waited_ns
    if cpu_ns >= max(waited_ns, asleep_ns):
        return "cpu"
    return "gil_or_cpu_wait" if waited_ns >= asleep_ns else "io"


def estimate_start(ended_ns: int, *, alive_ns: int, silent_ns: int, busy_ns: int | None) -> int:
    """Place the start of a block between the last sign of life and the heartbeat that went unanswered.

    A block that computed all the time, or was kept from it, began as long before its end as the thread
    spent processor time or waited for it; of any other we know only the bounds, so the middle errs least.

    alive_ns, silent_ns: last sign of life, and since when a heartbeat was waiting (monotonic ns).
    busy_ns: time between the last sign of life and the end that the thread computed or was ready to, None
        if the block did something else.
    """
    alive_ns = min(alive_ns, silent_ns)
    if busy_ns is None or ended_ns - busy_ns > silent_ns:
        return (alive_ns + silent_ns) // 2
    return max(alive_ns, ended_ns - busy_ns)
