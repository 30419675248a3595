"""All runs of the benchmark, in three rounds: what may learn learns, then everything grows, then static hosts use as much as was used.

Seeds that anything is chosen or learnt on are not those that arms are compared on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from tolaria.bench.grow.arms import GROWING, STATIC, Grown, Lesson, Plan, Weights, best_schedule, grow, hold, teach
from tolaria.bench.grow.sheet import Sheet
from tolaria.bench.parallel import in_parallel
from tolaria.envelope.progress import Follow
from tolaria.policy.schedule import ScheduleConfig

# What is chosen or learnt is, on hosts of these seeds.
TRAINING_SEEDS = (0, 1, 2, 3)
# Arms are compared on seeds from this one on.
HELD_OUT = 1000


@dataclass(frozen=True, slots=True)
class Piece:
    """One run that can be made anywhere: an arm of a plan on a seed, with the weights that it plays or the MACs that it may use."""

    plan: Plan
    arm: str
    seed: int
    weights: Weights | None = None
    budget: int = 0


@dataclass(slots=True)
class Task:
    """What is known of one task so far."""

    plan: Plan
    weights: Weights | None = None
    lessons: tuple[Lesson, ...] = ()
    scheduled: bool = False
    runs: list[Grown] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Whether every growing arm has what it begins with."""
        return self.weights is not None and self.scheduled

    def spent(self, seed: int) -> int | None:
        """The most MACs that any growing arm has used on a seed; None before all have been run."""
        macs = [run.macs for run in self.runs if run.seed == seed and run.arm in GROWING]
        return max(macs) if len(macs) == len(GROWING) else None


def measure(
    plans: Sequence[Plan], seeds: Sequence[int], jobs: int, follow: Follow, done: Callable[[list[Sheet]], None] = lambda _: None
) -> list[Sheet]:
    """A sheet for each plan, of what was finished; where `follow` ends before its time, no other round is begun.

    After every piece `done` is handed what there is so far.
    """
    tasks = {plan.task: Task(plan) for plan in plans}

    def sheets() -> list[Sheet]:
        return [Sheet(task.plan, tuple(task.runs), task.lessons) for task in tasks.values()]

    def keep(came: tuple[str, Grown | ScheduleConfig | tuple[Weights, tuple[Lesson, ...]]]) -> None:
        name, result = came
        task = tasks[name]
        if isinstance(result, Grown):
            task.runs.append(result)
        elif isinstance(result, ScheduleConfig):
            task.plan, task.scheduled = replace(task.plan, schedule=result), True
        else:
            task.weights, task.lessons = result
        done(sheets())

    rounds: tuple[tuple[str, Callable[[], list[Piece]]], ...] = (
        ("controllers", lambda: [Piece(plan, what, 0) for plan in plans for what in ("choose", "teach")]),
        ("growing", lambda: _growing(tasks.values(), seeds)),
        ("static", lambda: _static(tasks.values(), seeds)),
    )
    for what, pieces in rounds:
        todo = pieces()
        if sum(1 for _ in follow(what, in_parallel(make, todo, jobs, keep), len(todo))) < len(todo):
            break
    return sheets()


def make(piece: Piece) -> tuple[str, Grown | ScheduleConfig | tuple[Weights, tuple[Lesson, ...]]]:
    """What comes of a piece, with the name of its task."""
    plan = piece.plan
    if piece.arm == "choose":
        return plan.task, best_schedule(plan, TRAINING_SEEDS)
    if piece.arm == "teach":
        return plan.task, teach(plan, piece.seed)
    if piece.arm in STATIC:
        return plan.task, hold(plan, piece.arm, piece.seed, piece.budget)
    return plan.task, grow(plan, piece.arm, piece.seed, piece.weights)


def _growing(tasks: Iterable[Task], seeds: Sequence[int]) -> list[Piece]:
    ready = [task for task in tasks if task.is_ready]
    # Seed by seed, so that whoever stops early has whole seeds.
    return [Piece(task.plan, arm, seed, task.weights if arm == "ppo" else None) for seed in seeds for task in ready for arm in GROWING]


def _static(tasks: Iterable[Task], seeds: Sequence[int]) -> list[Piece]:
    spent = [(task, seed, task.spent(seed)) for seed in seeds for task in tasks]
    return [Piece(task.plan, arm, seed, None, macs) for task, seed, macs in spent if macs is not None for arm in STATIC]
