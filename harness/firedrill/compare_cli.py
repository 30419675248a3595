"""The commands that hold one state of the code against another."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from firedrill.screen import FAILED, HARNESS_BROKEN, NOTHING_RAN, PASSED, complain, say

if TYPE_CHECKING:
    from firedrill.bench.paired import Timed
    from firedrill.bench.record import Record
    from firedrill.compare.between import Chosen
    from firedrill.compare.compared import Compared
    from firedrill.compare.facts import Facts

BASELINES = Path("reports/baselines")
REASON_LENGTH_MIN = 15


def compare(base: Annotated[str, tyro.conf.Positional], head: Annotated[str, tyro.conf.Positional], *, json: Path | None = None) -> int:
    """Say what became better, worse or unclear from one run to another, or how fast two revisions are against one another.

    Example: firedrill compare reports/baselines reports/local/run.json

    Exit codes: 0 no regression, 1 a regression, 2 bad input or another class of machine, 4 there was nothing to compare.

    Args:
        base: What firedrill run or bench --json wrote, a baseline, a folder of baselines, of which the one of the head's class is taken,
            or a revision: then both are timed in turns, here and now.
        head: What firedrill run or bench --json wrote, or a revision.
        json: Write the comparison to this file, for firedrill report.
    """
    if not Path(base).exists() and not Path(head).exists():
        return _revisions(base, head, json)
    from firedrill.compare.benches import compare_benches
    from firedrill.compare.runs import NotComparable, compare_runs
    from firedrill.runner.result import ForeignResults

    try:
        benches = (_bench(Path(base)), _bench(Path(head)))
        if benches[0] and benches[1]:
            return concluded(compare_benches(benches[0], benches[1]), (), json)
        after = _facts(Path(head))
        before = _baseline(Path(base), after) if Path(base).is_dir() else _facts(Path(base))
        if before is None:
            say(f"{base} has no baseline of the class {after.machine_class or 'unknown'}; firedrill accept makes one", error=True)
            return NOTHING_RAN
        found = compare_runs(before, after)
    except OSError as error:
        return complain(f"{error.filename}: {error.strerror}")
    except (ForeignResults, NotComparable) as error:
        return complain(str(error))
    return concluded(found, (), json)


def accept(run: Annotated[Path, tyro.conf.Positional] = Path("reports/local/run.json"), *, reason: str, baselines: Path = BASELINES) -> int:
    """Make a run the baseline of its class of machine, and keep the reason beside it. Times have no baseline.

    Example: firedrill accept reports/local/run.json --reason "Rollbacks tell their rung, so every history has other bytes"

    Exit codes: 0 it is accepted, 2 bad input, 3 the run tells of a broken harness, 4 nothing ran in it.

    Args:
        run: What firedrill run --json wrote.
        reason: Why the numbers may change; it is kept with the date and the commit.
        baselines: The folder of baselines.
    """
    from firedrill.compare.baseline import Acceptance, baseline_path, read_baseline, write_baseline
    from firedrill.compare.compared import counts
    from firedrill.compare.runs import compare_runs
    from firedrill.runner.result import ForeignResults
    from firedrill.runner.verdict import Verdict

    if len(reason.strip()) < REASON_LENGTH_MIN:
        return complain(f"--reason {reason!r}: whoever reads it next year needs at least {REASON_LENGTH_MIN} letters")
    try:
        facts = _facts(run)
        if not facts.machine_class:
            return complain(f"{run} does not say on which class of machine it ran; run it again with this firedrill")
        verdicts = {cell.verdict for cell in facts.cells.values()}
        if Verdict.HARNESS_ERROR.value in verdicts:
            say(f"{run}: the harness failed in a cell, so nothing of it is a baseline", error=True)
            return HARNESS_BROKEN
        if not verdicts - {Verdict.NOT_RUN.value}:
            say(f"{run}: no cell was run", error=True)
            return NOTHING_RAN
        path = baseline_path(baselines, facts.machine_class)
        known = read_baseline(path) if path.exists() else None
    except OSError as error:
        return complain(f"{error.filename}: {error.strerror}")
    except ForeignResults as error:
        return complain(str(error))
    changes = counts(compare_runs(known.facts, facts)) if known else "the first baseline"
    acceptance = Acceptance(reason.strip(), datetime.now(UTC).date().isoformat(), facts.commit, changes)
    write_baseline(path, facts, (acceptance, *(known.accepted if known else ())))
    say(f"{path}: {len(facts.cells)} cells, {changes}")
    return PASSED


def timed_between(base: Path, head: Path, chosen: "Chosen", json: Path | None) -> int:
    """Time the code of two folders in turns, and say what became of it.

    All operations are judged together. Of a subject that cannot be timed it is said why.
    """
    from firedrill.compare.between import Between
    from firedrill.compare.compared import Change, Compared, MetricClass
    from firedrill.compare.timing import PAIRS, judge_confirmed
    from firedrill.report.benchmark import Sampling

    with Sampling(PAIRS * sum(map(len, chosen.values()))) as sampling:
        between = Between(base, head, chosen, sampling.advance)
        found, timed = judge_confirmed(between.measure)
    found += [Compared(name, "time", MetricClass.TIMING, Change.NOT_COMPARABLE, "", "", why) for name, why in between.failed.items()]
    return concluded(found, timed, json)


def concluded(found: "Sequence[Compared]", timed: "Sequence[Timed]", json: Path | None) -> int:
    """Keep a comparison and show it; the exit code says the worst of it."""
    from rich.console import Console

    from firedrill.compare.compared import Change, counts
    from firedrill.compare.record import write_comparison
    from firedrill.report import comparison

    if json is not None:
        write_comparison(json, found, timed)
    screen = Console()
    screen.print(comparison.table(found))
    screen.print(counts(found), markup=False, highlight=False)
    if all(compared.change in {Change.NOT_RUN, Change.NOT_COMPARABLE} for compared in found):
        return NOTHING_RAN
    return FAILED if any(compared.change is Change.REGRESSION for compared in found) else PASSED


def _revisions(base: str, head: str, json: Path | None) -> int:
    from firedrill.bench.paired import SUBJECTS, NoRevision, checked_out, commit_of

    try:
        commits = (commit_of(base), commit_of(head))
    except NoRevision as error:
        return complain(f"{base}, {head}: neither files nor revisions: {error}")
    with checked_out(*commits) as (before, after):
        return timed_between(before, after, {"snapshot": SUBJECTS["snapshot"]}, json)


def _facts(path: Path) -> "Facts":
    """Of a run or of a baseline, which is known by its name."""
    from firedrill.compare.baseline import FILE_NAME, read_baseline
    from firedrill.compare.facts import facts_of
    from firedrill.runner.result import read_json

    return read_baseline(path).facts if path.name == FILE_NAME else facts_of(read_json(path))


def _bench(path: Path) -> "Record | None":
    """The record of a benchmark; None of any other file or folder."""
    from json import loads

    from firedrill.bench.record import SCHEMA, record_of

    if not path.is_file():
        return None
    try:
        document = loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    is_bench = isinstance(document, dict) and str(document.get("schema")).startswith(SCHEMA.name)
    return record_of(document, path) if is_bench else None


def _baseline(folder: Path, head: "Facts") -> "Facts | None":
    from firedrill.compare.baseline import baseline_path, read_baseline

    path = baseline_path(folder, head.machine_class)
    return read_baseline(path).facts if head.machine_class and path.exists() else None


COMMANDS: dict[str, Callable[..., int]] = {"compare": compare, "accept": accept}
