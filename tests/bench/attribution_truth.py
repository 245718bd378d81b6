"""What was told of a scene, judged by what was put into it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.attribution_scenes import Injected, Played
from tests.bench.blocking_causes import blocking_lines

from firsttoken._think.blame import both, without
from firsttoken.blocking import LoopBlock

SHORTEST_NS = 100_000_000
#: The monitor looks at a loop this often.
TIE_NS = 12_500_000


@dataclass
class Score:
    """How many were right.

    stalls, right: stalls of 100 ms and more with an injected cause, and those that were told with it.
    innocent, alarms: stalls in which the event loop was not the cause, and those it was blamed for.
    unexplained: stalls without a known cause.
    blocks, found, lines: injected blocks with a line; those that were told; those told with that line.
    """

    stalls: int = 0
    right: int = 0
    innocent: int = 0
    alarms: int = 0
    unexplained: int = 0
    blocks: int = 0
    found: int = 0
    lines: int = 0
    confused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Score) -> None:
        """Count `other` in."""
        for name in ("stalls", "right", "innocent", "alarms", "unexplained", "blocks", "found", "lines"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.confused += other.confused


def true_causes(injected: Sequence[Injected], stream: int, begin_ns: int, end_ns: int) -> set[str]:
    """Return what was injected into most of a stream's gap; empty if nothing was into half of it.

    While the loop stands still nobody else is slow: that time is taken out of everybody else's. Two causes
    that are nearer to each other than the monitor can tell times apart are both right.
    """
    gap = [(begin_ns, end_ns)]
    blocked = both(_union(injected, "event_loop", stream), gap)
    spent = {"event_loop": _length(blocked)}
    for cause in ("provider", "consumer", "thread_pool"):
        spent[cause] = _length(without(both(_union(injected, cause, stream), gap), blocked))
    rest_ns = end_ns - begin_ns - sum(spent.values())
    if 2 * rest_ns > end_ns - begin_ns:
        return set()
    # What is left is the usual time between two chunks.
    spent["provider"] += rest_ns
    most_ns = max(spent.values())
    return {cause for cause, spent_ns in spent.items() if spent_ns and spent_ns + TIE_NS >= most_ns}


def judge(played: Played) -> Score:
    """Compare what was told with the truth."""
    score = Score()
    for stream, begin_ns, stall in played.stalls:
        causes = true_causes(played.injected, stream, begin_ns, begin_ns + stall.duration_ns)
        told = stall.cause.value
        if causes:
            score.stalls += 1
            score.right += told in causes
        else:
            score.unexplained += 1
        if "event_loop" not in causes:
            score.innocent += 1
            score.alarms += told == "event_loop"
        if told not in causes:
            score.confused[f"{' or '.join(sorted(causes)) or 'nothing'} told as {told}"] += 1
    for one in played.injected:
        if one.line_of is not None and one.end_ns - one.begin_ns >= SHORTEST_NS:
            _judge_line(score, one, played.blocks)
    return score


def _judge_line(score: Score, injected: Injected, blocks: Sequence[LoopBlock]) -> None:
    assert injected.line_of is not None
    code = injected.line_of.__code__
    score.blocks += 1
    middle_ns = (injected.begin_ns + injected.end_ns) // 2
    block = next((block for block in blocks if block.started_ns <= middle_ns < block.ended_ns), None)
    if block is None:
        return
    score.found += 1
    right = (block.file, block.function) == (code.co_filename, code.co_name)
    if right and block.line in blocking_lines(injected.line_of):
        score.lines += 1
    else:
        score.confused[f"{code.co_name} told as {block.function}:{block.line} ({block.kind})"] += 1


def _union(injected: Sequence[Injected], cause: str, stream: int) -> list[tuple[int, int]]:
    union: list[tuple[int, int]] = []
    for one in sorted(injected, key=lambda one: one.begin_ns):
        if one.cause != cause or one.stream not in (None, stream):
            continue
        if union and one.begin_ns <= union[-1][1]:
            union[-1] = union[-1][0], max(union[-1][1], one.end_ns)
        else:
            union.append((one.begin_ns, one.end_ns))
    return union


def _length(times: Sequence[tuple[int, int]]) -> int:
    return sum(end - begin for begin, end in times)
