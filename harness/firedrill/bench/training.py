"""What training costs: against a bare PyTorch loop that does the same, stacks against the loop, several processes against one.

Whatever is held against something else begins alike, does the same, and is stepped in turns with it. Where both are to come to
the same bytes, it is asserted that they did.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from firedrill.bench.clock import Sample
from firedrill.bench.ratios import Measured, in_turns, measured
from tolaria.env.config import TrainingConfig
from tolaria.policy.heuristic import HeuristicConfig
from tolaria.seeding import derive_seed
from tolaria.tasks import TASKS
from tolaria.tasks.batches import BatchStream
from tolaria.telemetry.codec import to_line
from tolaria.train.config import TrainConfig
from tolaria.train.rollout import finish_rollout, take_step
from tolaria.train.trainer import Trainer

AROUND, STACKED, MIXED, CONV, WORKERS = (
    "a step / a bare loop's, convolutional host",
    "loop / stack, 32 perceptrons",
    "loop / stack, 32 perceptrons with whatever seeds",
    "loop / stack, convolutional hosts",
    "one process / two, 8 convolutional environments",
)
BOUNDS = {AROUND: 1.03, STACKED: 2.5, MIXED: 1.4, CONV: 0.95, WORKERS: 1.7}
# A gardener who looks on and waits, so that nothing grows beside what a bare loop trains.
WAITING = HeuristicConfig(germinate_until=0.0)
WARMUPS = 2
STEPS = 10**6


class Bare:
    """The loop that somebody would write for the one host of environment 0: its batches, clipping, SGD, and validation every step."""

    def __init__(self, config: TrainConfig) -> None:
        task, training = TASKS[config.task](), config.training
        seed = derive_seed(config.seed, "environment", 0, "episode", 0)
        self.host = task.build_host(derive_seed(seed, "host"))
        self.task, self.training, self.stepped = task, training, 0
        self.stream = BatchStream(len(task.train.targets), task.batch_size, derive_seed(seed, "batches"))
        rate = task.learning_rate
        self.optimizer = torch.optim.SGD(self.host.parameters(), lr=rate, momentum=training.momentum, weight_decay=training.weight_decay)

    def step(self) -> float:
        """Ten batches and a validation."""
        self.host.train()
        losses = []
        for _ in range(self.training.batches_per_step):
            chosen = self.stream.next()
            loss = F.cross_entropy(self.host(self.task.train.inputs[chosen]), self.task.train.targets[chosen])
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.host.parameters(), self.training.grad_norm_max)
            for group in self.optimizer.param_groups:
                group["lr"] = self.task.learning_rate * min(1.0, (self.stepped + 1) / self.training.warmup_batches)
            self.optimizer.step()
            self.stepped += 1
            losses.append(loss.detach())
        self.host.eval()
        with torch.no_grad():
            logits = self.host(self.task.validation.inputs)
            loss = F.cross_entropy(logits, self.task.validation.targets)
            hits = (logits.argmax(dim=1) == self.task.validation.targets).float().mean()
        return float(torch.stack(losses).mean()) + float(loss) + float(hits)


def stepping(trainer: Trainer) -> Callable[[], Sample]:
    """One step as the trainer takes it, with everything that falls due after it; CPU of this process, which is not that of workers."""
    run = trainer.run

    def step() -> None:
        take_step(run)
        if run.step % run.config.rollout_steps == 0:
            finish_rollout(run)
        if run.step % run.config.checkpoint_every == 0:
            trainer.save()

    return lambda: process_sample(step)


def process_sample(call: Callable[[], object]) -> Sample:
    """Time one call, by the CPU of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    worked = time.process_time() - cpu
    return Sample(worked, time.perf_counter() - wall)


def rounds_of(rounds: int) -> int:
    """How often `after_round` of `measure` will be called."""
    return len(BOUNDS) * (rounds + WARMUPS)


def measure(rounds: int, folder: Path, after_round: Callable[[], object]) -> list[Measured]:
    """All of it; `folder` is where runs that store something may do so."""
    torch.set_num_threads(1)
    perceptrons = TrainConfig(task="spirals", envs=32, steps=STEPS, heuristic=WAITING)
    growing = replace(perceptrons, policy="random", episode_steps=20)
    images = TrainConfig(task="digits", envs=4, steps=STEPS, heuristic=WAITING)
    found = [_around(rounds, folder, after_round)]
    for name, config in ((STACKED, perceptrons), (MIXED, growing), (CONV, images)):
        found.append(_stacked(name, config, rounds, after_round))
    return [*found, _workers(rounds, after_round)]


def _around(rounds: int, folder: Path, after_round: Callable[[], object]) -> Measured:
    config = TrainConfig(task="digits", envs=1, steps=STEPS, heuristic=WAITING, training=TrainingConfig())
    bare = Bare(config)
    with ExitStack() as held:
        trainer = _begun(config, folder / "around", held=held)
        samples = _in_turns({"step": stepping(trainer), "bare": lambda: process_sample(bare.step)}, rounds, after_round)
        host = trainer.run.envs.envs[0].training.host
        theirs = [*dict(bare.host.named_parameters()).values(), *dict(bare.host.named_buffers()).values()]
        pairs = zip(host.stable_tensors().values(), theirs, strict=True)
        assert all(torch.equal(mine, theirs) for mine, theirs in pairs), "both train the same host on the same batches"
    return measured(AROUND, samples["step"], samples["bare"], BOUNDS[AROUND], at_most=True)


def _stacked(name: str, config: TrainConfig, rounds: int, after_round: Callable[[], object]) -> Measured:
    with ExitStack() as held:
        looped = _begun(replace(config, backend="loop"), None, held=held)
        stacked = _begun(replace(config, backend="stacked"), None, held=held)
        samples = _in_turns({"loop": stepping(looped), "stack": stepping(stacked)}, rounds, after_round)
    return measured(name, samples["loop"], samples["stack"], BOUNDS[name], at_most=False)


def _workers(rounds: int, after_round: Callable[[], object]) -> Measured:
    config = TrainConfig(task="digits", envs=8, steps=STEPS, heuristic=WAITING)
    with ExitStack() as held:
        one, two = (_begun(config, None, workers, held) for workers in (1, 2))
        samples = _in_turns({"one": stepping(one), "two": stepping(two)}, rounds, after_round)
        told = [[to_line(0, event) for event in trainer.run.history.events] for trainer in (one, two)]
        assert told[0] == told[1], "one process and two come to the same history"
    # The one works all the time, so that whoever else had the machine shows in it.
    found = measured(WORKERS, samples["one"], samples["two"], BOUNDS[WORKERS], at_most=False, clock="wall")
    alone = measured(WORKERS, samples["two"], samples["one"], None, at_most=False, clock="wall")
    return replace(found, contended=alone.contended)


def _begun(config: TrainConfig, folder: Path | None, workers: int = 1, held: ExitStack | None = None) -> Trainer:
    trainer = Trainer.start(config, folder, workers=workers)
    if held is not None:
        held.callback(trainer.close)
    trainer.run.begin()
    return trainer


def _in_turns(
    contestants: Mapping[str, Callable[[], Sample]], rounds: int, after_round: Callable[[], object]
) -> dict[str, list[Sample]]:  # fmt: skip
    """After what only first steps pay for."""
    in_turns(contestants, WARMUPS, after_round)
    return in_turns(contestants, rounds, after_round)
