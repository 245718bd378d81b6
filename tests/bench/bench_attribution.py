"""How often the named cause of a stall is right: known causes are injected, and what is told is counted.

    python -m tests.bench.bench_attribution [--json] [--rounds 40] [--plots regex,GC] [--seed 1]
    python -m tests.bench.bench_attribution --write    # and put the table into README.md

Each cause is injected at random moments, for 0.12 to 0.4 s, into one stream and into 100 at once, each plot
in a process of its own. A stall is a gap of 100 ms. Bounds: the cause is right in 95 % of the stalls, the
line in 98 % of the blocks, and under 1 % of the stalls that were not the event loop's are blamed on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.bench._report import Row, parser, report  # noqa: E402
from tests.bench.attribution_plots import PLOTS, play  # noqa: E402
from tests.bench.attribution_truth import Score, judge  # noqa: E402

README = ROOT / "README.md"
BEGIN, END = "<!-- attribution:begin -->\n", "<!-- attribution:end -->"
CROWDS = (1, 100)
#: A hundred streams tell a hundred times as much of each injection.
FEWER_ROUNDS = 4

Scores = dict[tuple[str, int], Score]


def measure(plot: str, streams: int, rounds: int, seed: int) -> Score:
    """Play one plot in a process of its own."""
    here = ["-m", "tests.bench.bench_attribution", "--one", plot, str(streams), str(rounds), str(seed)]
    done = subprocess.run(
        [sys.executable, *here], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=600
    )
    fields = json.loads(done.stdout)
    confused = fields.pop("confused")
    score = Score(**fields)
    score.confused.update(confused)
    return score


def table(scores: Scores) -> str:
    """Return the table in Markdown."""
    lines = [
        "| injected | streams | stalls | cause right | wrongly the loop | blocks | line right |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for (plot, streams), score in scores.items():
        lines.append(_line(plot, str(streams), score))
    lines.append(_line("**all**", "", _sum(scores)))
    return "\n".join(lines) + "\n"


def _line(plot: str, streams: str, score: Score) -> str:
    lines = (str(score.blocks), _share(score.lines, score.blocks)) if score.blocks else ("", "")
    return (
        f"| {plot} | {streams} | {score.stalls:,} | {_share(score.right, score.stalls)} "
        f"| {_share(score.alarms, score.innocent)} | {lines[0]} | {lines[1]} |"
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _sum(scores: Scores) -> Score:
    total = Score()
    for score in scores.values():
        total.add(score)
    return total


def rows(scores: Scores) -> list[Row]:
    """Return what is compared with a bound."""
    found = []
    for (plot, streams), score in scores.items():
        what = f"{plot}, {streams} stream{'s' * (streams > 1)}"
        ratio = score.right / score.stalls if score.stalls else 0.0
        measured = f"{score.right}/{score.stalls} +{score.unexplained}"
        found.append(Row(f"{what}: cause", measured, ratio, 0.95, at_least=True))
    total = _sum(scores)
    if total.innocent:
        alarms = total.alarms / total.innocent
        found.append(
            Row("blamed on the loop, and was not", f"{total.alarms}/{total.innocent}", alarms, 0.01)
        )
    if total.blocks:
        lines = total.lines / total.blocks
        found.append(Row("line", f"{total.lines}/{total.blocks}", lines, 0.98, at_least=True))
    return found


def main() -> int:
    """Run the benchmark; return 1 if a bound is missed."""
    if sys.argv[1:2] == ["--one"]:
        plot, *numbers = sys.argv[2:]
        streams, rounds, seed = map(int, numbers)
        print(json.dumps(vars(judge(play(plot, streams, rounds, seed)))))
        return 0
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=40, help="injections of each cause into one stream")
    options.add_argument("--plots", default="", help="only plots with one of these in their name")
    options.add_argument("--crowds", default="1,100", help="how many streams at once")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--write", action="store_true", help="put the table into README.md")
    options.add_argument("--confused", action="store_true", help="say what was taken for what")
    arguments = options.parse_args()
    scores: Scores = {}
    for plot in PLOTS:
        if not any(part in plot for part in arguments.plots.split(",")):
            continue
        for streams in map(int, arguments.crowds.split(",")):
            rounds = arguments.rounds if streams == 1 else max(1, arguments.rounds // FEWER_ROUNDS)
            score = scores[plot, streams] = measure(plot, streams, rounds, arguments.seed)
            if arguments.confused:
                print(plot, streams, dict(score.confused), file=sys.stderr)
    if not arguments.json:
        print(table(scores))
    if arguments.write:
        before, rest = README.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        README.write_text(before + BEGIN + table(scores) + END + after, encoding="utf-8")
    return report("the cause of stalls, right/injected +unexplained", rows(scores), as_json=arguments.json)


if __name__ == "__main__":
    raise SystemExit(main())
