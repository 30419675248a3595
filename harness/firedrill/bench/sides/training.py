"""Blocks of training: steps as the trainer takes them, judging, and a seam. A case is what is trained.

Runs of several processes are left out: a block is a fork, and the CPU of its workers would not be its own.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace

from firedrill.bench.clock import process_sample
from firedrill.bench.governing import calling, judging
from firedrill.bench.side import Timing, serve
from firedrill.bench.stepping import begun, step_of
from firedrill.bench.training import GROWING, IMAGE, PERCEPTRONS, configs
from tolaria.seams import NO_TAPS
from tolaria.train.config import TrainConfig

STEP, JUDGING, SEAM = "a step", "judging", "a thousand seams"


def begin(case: str) -> Timing:
    """What one run does, once a round; what does not depend on the run is timed with the convolutional host."""
    trainer = begun(_config(case), ExitStack())
    step = step_of(trainer)
    calls: dict[str, Callable[[], None]] = {STEP: step}
    if case == IMAGE:
        step()
        calls |= {JUDGING: judging(trainer), SEAM: calling(NO_TAPS.pass_through)}

    def one_round() -> Mapping[str, float]:
        return {name: process_sample(call).cpu for name, call in calls.items()}

    return Timing(one_round)


def _config(case: str) -> TrainConfig:
    known = configs()
    stacks = {f"{name}, stacked": replace(known[name], backend="stacked") for name in (PERCEPTRONS, GROWING)}
    return (known | stacks)[case]


if __name__ == "__main__":
    serve(begin)
