"""The questions of the credit experiment, the runs that answer them, and the bars that the answers have to reach."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from tolaria.bench.credit.arms import SHIPPED
from tolaria.bench.credit.bait import BaitConfig
from tolaria.bench.credit.cells import MANY_EPISODES, Cell, Run
from tolaria.bench.credit.first_update import Fall

CONTROLS = ("clear", "truncate")
OTHERS = ("terminal-0", "last", "cause", "continue", "lagrangian", "return_std")
ATTRIBUTIONS = (SHIPPED, "last", "cause")
CONSERVATIVE = (SHIPPED, "last", "continue", "lagrangian", "terminal-0", "terminal -30")

DELAY_5 = "delay-5"
DELAY_20 = "delay-20"
SHORT_TRACE = "short-trace"
UNAVOIDABLE = "unavoidable"
ABOUT = {
    DELAY_5: "a bait that collapses its host 5 steps later, which nothing shows",
    DELAY_20: "20 steps later",
    SHORT_TRACE: "a bait and a safe seed, 10 steps, lambda 0.8",
    UNAVOIDABLE: "a bait and a safe seed, 7 steps, seeds shown; 5 % of safe seeds collapse their host all the same",
}
BAIT = BaitConfig()
GARDEN = BaitConfig(delay=10, safe_reward=0.3)
ACCIDENTS = BaitConfig(delay=7, safe_reward=0.15, accident=0.05, hidden=False)
SHORT_LAMBDA = 0.8


@dataclass(frozen=True, slots=True)
class Bar:
    """A claim and what was found; `holds` is None where not all of its runs were made."""

    claim: str
    found: str
    holds: bool | None


def cells(seeds: int, questions: Sequence[str] = tuple(ABOUT)) -> list[Cell]:
    """All runs of some questions, those of the bars first; `seeds` of every arm, and 3 more where the delay is long, if 5 or more."""
    some, more = range(seeds), range(seeds + 3 if seeds >= 5 else seeds)
    asked = [Cell(DELAY_5, arm, memory, seed, BAIT) for memory in ("none", "lstm") for arm in (SHIPPED, *CONTROLS) for seed in some]
    late = BaitConfig(delay=20)
    asked += [Cell(DELAY_20, arm, "none", seed, late, episodes=MANY_EPISODES) for arm in ATTRIBUTIONS for seed in more]
    asked += [Cell(SHORT_TRACE, arm, "none", seed, GARDEN, SHORT_LAMBDA) for arm in ATTRIBUTIONS for seed in some]
    asked += [Cell(UNAVOIDABLE, arm, "none", seed, ACCIDENTS, episodes=MANY_EPISODES, large=True) for arm in CONSERVATIVE for seed in some]
    asked += [Cell(DELAY_5, arm, "none", seed, BAIT) for arm in OTHERS for seed in some]
    return [cell for cell in asked if cell.question in questions]


def bars(runs: Sequence[Run], falls: Sequence[Fall], planned: Sequence[Cell]) -> list[Bar]:
    """Every bar, in the order of the questions."""
    judge = _Judge(runs, planned)
    found = []
    for memory in ("none", "lstm"):
        name = "MLP" if memory == "none" else "LSTM"
        asked = judge.of(DELAY_5, SHIPPED, memory=memory)
        found.append(
            asked.bar(f"{name}, delay 5: shipped collapses at most 0.02 times an episode on average", _mean_collapses, 0.02, at_most)
        )
        found.append(asked.bar(f"{name}, delay 5: and in the worst seed at most 0.05", _most_collapses, 0.05, at_most))
        found += [
            judge.of(DELAY_5, arm, memory=memory).bar(
                f"{name}, delay 5: {arm} goes on collapsing, at least 6 in every seed", _fewest_collapses, 6.0, at_least
            )
            for arm in CONTROLS
        ]
    found.append(judge.of(DELAY_20, SHIPPED).bar("delay 20: shipped at most 0.05 in the worst seed", _most_collapses, 0.05, at_most))
    found.append(
        judge.of(SHORT_TRACE, SHIPPED).bar(
            "short trace: shipped germinates at least 3.5 times an episode", _mean_germinations, 3.5, at_least
        )
    )
    either = [judge.of(UNAVOIDABLE, arm).bar(arm, _mean_germinations, 4.5, at_least) for arm in ("continue", "lagrangian")]
    holds = None if any(bar.holds is None for bar in either) else any(bar.holds for bar in either)
    told = ", ".join(f"{bar.claim} {bar.found}" for bar in either)
    found.append(Bar("unavoidable: continue or lagrangian germinates at least 4.5 times an episode", told, holds))
    found.append(
        judge.of(UNAVOIDABLE, "terminal -30").bar("unavoidable: the monitor speaks of a frozen controller at -30", _frozen, 1.0, at_least)
    )
    growing = judge.of(UNAVOIDABLE, *(arm for arm in CONSERVATIVE if arm != "terminal -30"))
    found.append(growing.bar("unavoidable: and is silent in every run of the other arms, which go on growing", _frozen, 0.0, at_most))
    shipped = [fall for fall in falls if fall.arm == SHIPPED]
    fell = shipped[0].fell == shipped[0].seeds if shipped else None
    told = f"{shipped[0].fell} of {shipped[0].seeds}" if shipped else "not run"
    found.append(Bar("after one update the decision that led there is less likely in every seed", told, fell))
    found.append(judge.of(DELAY_5).bar("delay 5: CPU-seconds of the slowest run", _slowest, 60.0, at_most))
    return found


def at_most(value: float, limit: float) -> bool:
    """Whether a value stays within its limit."""
    return value <= limit


def at_least(value: float, limit: float) -> bool:
    """Whether a value reaches its limit."""
    return value >= limit


class _Group:
    """The runs that answer one thing."""

    def __init__(self, runs: list[Run], complete: bool) -> None:
        self.runs = runs
        self.complete = complete

    def bar(self, claim: str, measure: Callable[[list[Run]], float], limit: float, reaches: Callable[[float, float], bool]) -> Bar:
        """What the runs say to a claim."""
        if not self.runs:
            return Bar(claim, "not run", None)
        value = measure(self.runs)
        return Bar(claim, f"{value:.3g}", reaches(value, limit) if self.complete else None)


class _Judge:
    """Finds the runs of a question, an arm and a network."""

    def __init__(self, runs: Sequence[Run], planned: Sequence[Cell]) -> None:
        self.runs = runs
        self.planned = planned

    def of(self, question: str, *arms: str, memory: str | None = None) -> _Group:
        """Of every arm where none is named, and of every network where it is None."""

        def belongs(cell: Cell) -> bool:
            return cell.question == question and (not arms or cell.arm in arms) and memory in {None, cell.memory}

        found = [run for run in self.runs if belongs(run.cell)]
        return _Group(found, len(found) == sum(map(belongs, self.planned)))


def _mean_collapses(runs: list[Run]) -> float:
    return fmean(run.settled_collapses for run in runs)


def _most_collapses(runs: list[Run]) -> float:
    return max(run.settled_collapses for run in runs)


def _fewest_collapses(runs: list[Run]) -> float:
    return min(run.settled_collapses for run in runs)


def _mean_germinations(runs: list[Run]) -> float:
    return fmean(run.settled_germinations for run in runs)


def _frozen(runs: list[Run]) -> float:
    """The part of the runs in which the monitor spoke."""
    return fmean(run.frozen_at is not None for run in runs)


def _slowest(runs: list[Run]) -> float:
    return max(run.cpu_s for run in runs)
