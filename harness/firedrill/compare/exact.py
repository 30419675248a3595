"""Metrics that have no noise: verdicts, answers of oracles, counts, penalties, bytes. Any worsening is a regression."""

from collections.abc import Iterator

from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.facts import CellFacts, Facts
from firedrill.oracles.oracle import Answer
from firedrill.runner.verdict import Verdict

# From bad to good.
ANSWERS = (Answer.FAIL, Answer.UNKNOWN, Answer.PASS)
# Verdicts are declared in order of gravity.
GRAVITY = {verdict.value: rank for rank, verdict in enumerate(Verdict)}
NOTHING = "–"


def compare_exactly(base: Facts, head: Facts) -> list[Compared]:
    """Every exact metric of every cell of either run. Bytes are held against bytes of the same versions only."""
    same_versions = dict(base.versions) == dict(head.versions)
    found = []
    for name in dict.fromkeys((*base.cells, *head.cells)):
        before, after = base.cells.get(name), head.cells.get(name)
        if before is None or after is None:
            found.append(_alone(name, before, after))
        elif Verdict.NOT_RUN.value in {before.verdict, after.verdict}:
            found.append(_idle(name, before, after))
        else:
            found += [_verdict(name, before, after), *_answers(name, before, after), *_counts(name, before, after)]
            found.append(_bytes(name, before, after, same_versions))
    return found


def _exact(name: str, metric: str, change: Change, base: object, head: object, detail: str = "") -> Compared:
    return Compared(name, metric, MetricClass.EXACT, change, str(base), str(head), detail)


def _alone(name: str, before: CellFacts | None, after: CellFacts | None) -> Compared:
    if after is None:
        return _exact(name, "verdict", Change.NOT_RUN, before.verdict if before else NOTHING, NOTHING, "the head does not have this cell")
    return _exact(name, "verdict", Change.NOT_COMPARABLE, NOTHING, after.verdict, "the base does not have this cell")


def _idle(name: str, before: CellFacts, after: CellFacts) -> Compared:
    idle = after.verdict == Verdict.NOT_RUN.value
    return _exact(name, "verdict", Change.NOT_RUN if idle else Change.NOT_COMPARABLE, before.verdict, after.verdict, "it was not run")


def _verdict(name: str, before: CellFacts, after: CellFacts) -> Compared:
    # Red against green first; of two that are alike in this the graver verdict is the worse one.
    was, now = (int(not before.failed), GRAVITY[before.verdict]), (int(not after.failed), GRAVITY[after.verdict])
    return _exact(name, "verdict", _direction(was, now), _told(before), _told(after))


def _told(cell: CellFacts) -> str:
    return f"{cell.verdict.replace('_', ' ')}{', not as expected' if cell.failed else ''}"


def _answers(name: str, before: CellFacts, after: CellFacts) -> Iterator[Compared]:
    for oracle, was in before.answers.items():
        now = after.answers.get(oracle)
        if now is None:
            yield _exact(name, oracle, Change.REGRESSION, was, NOTHING, "no longer asked")
        else:
            change = _direction((ANSWERS.index(Answer(was)),), (ANSWERS.index(Answer(now)),))
            yield _exact(name, oracle, change, was, now, after.details.get(oracle, "") if change is Change.REGRESSION else "")


def _counts(name: str, before: CellFacts, after: CellFacts) -> Iterator[Compared]:
    yield _exact(name, "rollbacks", _direction((-before.rollbacks,), (-after.rollbacks,)), before.rollbacks, after.rollbacks)
    # A penalty has one right amount, so that neither more nor less of it is better.
    same = before.penalty == after.penalty
    change = Change.UNCHANGED if same else Change.REGRESSION
    yield _exact(name, "penalty delivered", change, f"{before.penalty:g}", f"{after.penalty:g}")


def _bytes(name: str, before: CellFacts, after: CellFacts, same_versions: bool) -> Compared:
    if not same_versions or not before.digest or not after.digest:
        return _exact(name, "history", Change.NOT_COMPARABLE, "", "", "bytes of other versions say nothing")
    if before.digest == after.digest:
        return _exact(name, "history", Change.UNCHANGED, "", "")
    detail = "other bytes: a refactoring leaves them as they are, a change in numbers says why it is better"
    return _exact(name, "history", Change.INCONCLUSIVE, "", "", detail)


def _direction(was: tuple[int, ...], now: tuple[int, ...]) -> Change:
    """More is better; of equal first numbers the second ones decide."""
    return Change.UNCHANGED if was == now else Change.REGRESSION if now < was else Change.IMPROVED
