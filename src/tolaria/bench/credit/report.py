"""What the credit experiment came to, as tables and as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean

from tolaria.bench.credit.arms import ABOUT as ARM_ABOUT
from tolaria.bench.credit.cells import Run
from tolaria.bench.credit.first_update import Fall
from tolaria.bench.credit.plan import ABOUT, Bar
from tolaria.bench.credit.toxic import ToxicRun
from tolaria.bench.credit.toxic_bars import toxic_told, toxic_values

WORDS = {True: "holds", False: "MISSED", None: "open"}


def rows(runs: Sequence[Run]) -> list[tuple[str, str, str, list[Run]]]:
    """Question, network, arm and its runs, in the order in which they were planned."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.cell.question, run.cell.memory, run.cell.arm), []).append(run)
    order = list(ARM_ABOUT)
    questions = list(ABOUT)
    keys = sorted(groups, key=lambda key: (questions.index(key[0]), key[1] != "none", order.index(key[2])))
    return [(*key, sorted(groups[key], key=lambda run: run.cell.seed)) for key in keys]


def told(runs: Sequence[Run], falls: Sequence[Fall], bars: Sequence[Bar], toxic: Sequence[ToxicRun] = ()) -> Iterator[str]:
    """Lines for a terminal: a table of all arms of each world that was asked, and the bars."""
    if toxic:
        yield from toxic_told(toxic)
    if runs:
        yield from _table(runs)
    for fall in falls:
        yield f"first update: the decision that led there is less likely after it in {fall.fell:>2} of {fall.seeds} seeds with {fall.arm}"
    if falls:
        yield ""
    for bar in bars:
        yield f"{WORDS[bar.holds]:<7} {bar.claim}: {bar.found}"


def to_json(
    runs: Sequence[Run], falls: Sequence[Fall], bars: Sequence[Bar], complete: bool, toxic: Sequence[ToxicRun] = ()
) -> str:  # fmt: skip
    """Every run with its counts by update; those of the toxic task only where there are some."""
    value: dict[str, object] = {
        "complete": complete,
        "bars": [asdict(bar) for bar in bars],
        "first_update": [asdict(fall) for fall in falls],
        "runs": [
            {**asdict(run), "settled_collapses": run.settled_collapses, "settled_germinations": run.settled_germinations}
            for _, _, _, found in rows(runs)
            for run in found
        ],
    }
    if toxic:
        value["toxic"] = toxic_values(toxic)
    return f"{json.dumps(value, separators=(',', ':'))}\n".replace('{"cell"', '\n{"cell"')


def _table(runs: Sequence[Run]) -> Iterator[str]:
    yield f"{'question':<12} {'net':<5} {'arm':<13} {'seeds':>5} {'collapses':>10} {'worst':>7} {'germinations':>13} {'CPU s':>6}"
    for question, memory, arm, found in rows(runs):
        collapses = [run.settled_collapses for run in found]
        germinations, cpu_s = fmean(run.settled_germinations for run in found), fmean(run.cpu_s for run in found)
        net = "MLP" if memory == "none" else "LSTM"
        yield (
            f"{question:<12} {net:<5} {arm:<13} {len(found):>5} {fmean(collapses):>10.3f} {max(collapses):>7.3f} "
            f"{germinations:>13.2f} {cpu_s:>6.1f}"
        )
    yield "in the last tenth of the updates, an episode of 40 steps"
    yield ""
