"""What the governor costs the run that it guards, and nobody has to guess: equal runs, governed, judged only and bare, step by step."""

from contextlib import ExitStack

import torch

from firedrill.bench.governing import SAMPLES, governed, judging, weights
from firedrill.bench.stepping import begun, step_of
from tolaria.train.config import TrainConfig

JUDGING_MAX, SNAPSHOTS_MAX = 0.01, 0.02
# Later than any run.
NEVER = 10**9
ROUNDS = 60
# The step in seconds that judging may cost a part of.
STEP_S = 0.020
CONFIG = TrainConfig(task="digits", policy="heuristic", envs=1, steps=10 * ROUNDS)


def test_judging_costs_at_most_one_percent_and_snapshots_every_ten_steps_two(contest) -> None:
    configs = {"bare": governed(CONFIG, False), "judged": governed(CONFIG, True, NEVER), "snapshotted": governed(CONFIG, True)}
    with ExitStack() as held:
        # What only a first step pays, such as loading kernels, is paid by a run that does not count.
        step_of(begun(CONFIG, held))()
        runs = {name: begun(config, held) for name, config in configs.items()}
        contest.alternate({name: step_of(run) for name, run in runs.items()}, rounds=ROUNDS)

    for name in ("judged", "snapshotted"):
        assert all(torch.equal(one, other) for one, other in zip(weights(runs[name]), weights(runs["bare"]), strict=True))
    # A quiet machine tells one percent apart; on a busy one the interval is wide, and only what lies wholly above the bar is red.
    assert contest.share("judging", "judged", "bare", "bare").low <= JUDGING_MAX
    assert contest.share("snapshots", "snapshotted", "judged", "bare").low <= SNAPSHOTS_MAX


def test_judging_takes_at_most_one_percent_of_twenty_milliseconds(contest) -> None:
    """What judging does beyond a bare step, timed by itself: the scan of all tensors, the verdict, and remembering it."""
    with ExitStack() as held:
        run = begun(CONFIG, held)
        step = step_of(run)
        for _ in range(SAMPLES):
            step()
        contest.shuffle({"judging": judging(run)}, rounds=200)
    assert contest.median_of("judging") <= JUDGING_MAX * STEP_S
