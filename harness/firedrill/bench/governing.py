"""What the governor costs the run that it guards: equal runs with it and without, step by step, and what it does by itself.

Judging is all of detection: the scan of every tensor, the verdict, and remembering it.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch

from firedrill.bench.clock import PROCESS, THREAD, Place
from firedrill.bench.ratios import Measured, measured
from firedrill.bench.stepping import begun, step_of, warmed_in_turns
from tolaria.env.training import Trained
from tolaria.governor.detectors.detector import Limits
from tolaria.governor.jury import Jury
from tolaria.seams import LOSS_READY, NO_TAPS
from tolaria.telemetry.event import Point
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer

GOVERNED, JUDGED, SEAM = (
    "a step, governed with a snapshot every 10 / not governed",
    "judging / a step that is not governed",
    "a seam that nobody listens at / a bare call",
)
# One percent for judging and two for snapshots.
BOUNDS = {GOVERNED: 1.03, JUDGED: 0.01, SEAM: 3.0}
# What was promised of a device, where nobody waits for a snapshot.
BOUNDS_ON_DEVICE = {GOVERNED: 1.02}
CADENCE = 10
# So many steps until every detector is awake.
SAMPLES = 12
# Calls of a seam that are timed together, so that the clock is not what is measured.
CALLS = 1000


def measure(config: TrainConfig, rounds: int, after_round: Callable[[], object], place: Place = PROCESS) -> list[Measured]:
    """All of it, of runs with this config; a seam is a matter of the host alone."""
    found = [_governed(config, rounds, after_round, place), _judged(config, rounds, after_round, place)]
    return [*found, _seam(rounds, after_round)] if place.device == "cpu" else found


def governed(config: TrainConfig, enabled: bool, snapshot_every: int = CADENCE) -> TrainConfig:
    """The run with its governor or without."""
    return replace(config, governor=replace(config.governor, enabled=enabled, snapshot_every=snapshot_every))


def weights(trainer: Trainer) -> list[torch.Tensor]:
    """Everything that training has changed."""
    return [tensor for env in trainer.run.envs.envs for tensor in env.training.all_tensors().values()]


def judging(trainer: Trainer) -> Callable[[], None]:
    """What judging does of a run that has made its first steps, beyond a step."""
    run = trainer.run
    training = run.envs.envs[0].training
    vitals = training.vitals(Point(run.step, 0), Trained(0.1, 1.0), scan=False)
    task, config = training.task, run.config.governor
    jury = Jury(config, Limits(config, task.chance_loss, task.explosion_loss, task.prior_loss))

    def judge() -> None:
        training.nonfinite_places()
        jury.remember(jury.judge(vitals), vitals)

    return judge


def calling(function: Callable[..., object]) -> Callable[[], None]:
    """A thousand calls, as a run calls a seam."""
    at = Point(0, 0)

    def calls() -> None:
        for _ in range(CALLS):
            function(LOSS_READY, at, 1.0)

    return calls


def bare_call(_seam: object, _at: object, value: object) -> object:
    """The least that any seam could be."""
    return value


def _bound(name: str, place: Place) -> float | None:
    return BOUNDS[name] if place.device == "cpu" else BOUNDS_ON_DEVICE.get(name)


def _governed(config: TrainConfig, rounds: int, after_round: Callable[[], object], place: Place) -> Measured:
    with ExitStack() as held:
        runs = {name: begun(governed(config, enabled), held) for name, enabled in (("with", True), ("without", False))}
        contestants = {name: partial(place.sample, step_of(run)) for name, run in runs.items()}
        samples = warmed_in_turns(contestants, rounds, after_round)
        pairs = zip(*map(weights, runs.values()), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs), "a governor that has nothing to do changes nothing"
    return measured(GOVERNED, samples["with"], samples["without"], _bound(GOVERNED, place), at_most=True, clock=place.clock)


def _judged(config: TrainConfig, rounds: int, after_round: Callable[[], object], place: Place) -> Measured:
    with ExitStack() as held:
        run = begun(governed(config, False), held)
        step = step_of(run)
        for _ in range(SAMPLES):
            step()
        contestants = {"judge": partial(place.sample, judging(run)), "step": partial(place.sample, step)}
        samples = warmed_in_turns(contestants, rounds, after_round)
    return measured(JUDGED, samples["judge"], samples["step"], _bound(JUDGED, place), at_most=True, clock=place.clock)


def _seam(rounds: int, after_round: Callable[[], object]) -> Measured:
    calls = {"seam": calling(NO_TAPS.pass_through), "bare": calling(bare_call)}
    samples = warmed_in_turns({name: partial(THREAD.sample, call) for name, call in calls.items()}, rounds, after_round)
    return measured(SEAM, samples["seam"], samples["bare"], BOUNDS[SEAM], at_most=True)
