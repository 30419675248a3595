"""What training costs around the host's own mathematics, and what stacks of hosts save: steps in turns, equal work, one thread."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from firedrill.bench.stepping import begun, step_of
from firedrill.bench.training import AROUND, BOUNDS, CONV, GROWING, IMAGE, IMAGES, MIXED, PERCEPTRONS, STACKED, Bare, configs
from tolaria.train.config import TrainConfig

WARMUPS = 2
CONFIGS = configs()


def steps_of(config: TrainConfig, held: ExitStack, folder: Path | None = None) -> Callable[[], object]:
    """Steps of a run that has made its first ones, and is closed in the end."""
    step = step_of(begun(config, held, folder))
    for _ in range(WARMUPS):
        step()
    return step


def test_everything_around_the_mathematics_costs_at_most_three_percent(contest, tmp_path: Path) -> None:
    bare = Bare(CONFIGS[IMAGE])
    for _ in range(WARMUPS):
        bare.step()
    with ExitStack() as held:
        contest.alternate({"step": steps_of(CONFIGS[IMAGE], held, tmp_path / "run"), "bare": bare.step}, rounds=40)
    # A quiet machine tells three percent apart; on a busy one only what lies wholly above the bar is red.
    assert contest.compare("step", "bare").low <= BOUNDS[AROUND]


def saved(contest, config: TrainConfig, rounds: int) -> float:
    """How many times as long the loop takes, as the upper end of its interval."""
    with ExitStack() as held:
        contest.alternate({name: steps_of(replace(config, backend=name), held) for name in ("loop", "stacked")}, rounds)
    return contest.compare("loop", "stacked").high


def test_a_stack_of_perceptrons_is_much_faster_than_the_loop(contest) -> None:
    assert saved(contest, CONFIGS[PERCEPTRONS], 15) >= BOUNDS[STACKED]


def test_so_is_one_with_whatever_seeds(contest) -> None:
    assert saved(contest, CONFIGS[GROWING], 20) >= BOUNDS[MIXED]


def test_hosts_that_cannot_be_stacked_lose_nothing(contest) -> None:
    assert saved(contest, CONFIGS[IMAGES], 15) >= BOUNDS[CONV]
