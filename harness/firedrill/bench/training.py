"""What training costs: against a bare PyTorch loop that does the same, stacks against the loop, several processes against one.

Whatever is held against something else begins alike, does the same, and is stepped in turns with it. Where both are to come to
the same bytes, it is asserted that they did.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from firedrill.bench import governing
from firedrill.bench.clock import PROCESS, Place, process_sample
from firedrill.bench.ratios import Measured, measured
from firedrill.bench.stepping import STEPS, WAITING, WARMUPS, begun, step_of, warmed_in_turns
from tolaria.seeding import derive_seed
from tolaria.tasks import TASKS
from tolaria.tasks.batches import BatchStream
from tolaria.tasks.task import Split
from tolaria.telemetry.codec import to_line
from tolaria.train.config import TrainConfig

AROUND, STACKED, MIXED, CONV, WORKERS = (
    "a step / a bare loop's, convolutional host",
    "loop / stack, 32 perceptrons",
    "loop / stack, 32 perceptrons with whatever seeds",
    "loop / stack, convolutional hosts",
    "one process / two, 8 convolutional environments",
)
BOUNDS = {AROUND: 1.03, STACKED: 2.5, MIXED: 1.4, CONV: 0.95, WORKERS: 1.7}
IMAGE, IMAGES, PERCEPTRONS, GROWING = "a convolutional host", "4 convolutional hosts", "32 perceptrons", "32 perceptrons that grow"
BACKENDS = ("loop", "stacked")


class Bare:
    """The loop that somebody would write for the one host of environment 0: its batches, clipping, SGD, and validation every step."""

    def __init__(self, config: TrainConfig) -> None:
        task, training = TASKS[config.task](), config.training
        seed = derive_seed(config.seed, "environment", 0, "episode", 0)
        self.host = task.build_host(derive_seed(seed, "host")).to(config.device)
        self.task, self.training, self.stepped = task, training, 0
        self.train, self.validation = (
            Split(split.inputs.to(config.device), split.targets.to(config.device)) for split in (task.train, task.validation)
        )
        self.stream = BatchStream(len(task.train.targets), task.batch_size, derive_seed(seed, "batches"))
        rate = task.learning_rate
        self.optimizer = torch.optim.SGD(self.host.parameters(), lr=rate, momentum=training.momentum, weight_decay=training.weight_decay)

    def step(self) -> float:
        """Ten batches and a validation."""
        self.host.train()
        losses = []
        for _ in range(self.training.batches_per_step):
            chosen = self.stream.next().to(self.train.inputs.device)
            loss = F.cross_entropy(self.host(self.train.inputs[chosen]), self.train.targets[chosen])
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
            logits = self.host(self.validation.inputs)
            loss = F.cross_entropy(logits, self.validation.targets)
            hits = (logits.argmax(dim=1) == self.validation.targets).float().mean()
        return float(torch.stack(losses).mean()) + float(loss) + float(hits)


def rounds_of(rounds: int, place: Place = PROCESS) -> int:
    """How often `after_round` of `measure` will be called."""
    # On a device no other processes, and no seam.
    ratios = len(BOUNDS) + len(governing.BOUNDS) - (0 if place.device == "cpu" else 2)
    return ratios * (rounds + WARMUPS)


def measure(rounds: int, folder: Path, after_round: Callable[[], object], place: Place = PROCESS) -> list[Measured]:
    """All of it; `folder` is where runs that store something may do so. Of a device only the governor's cost was promised."""
    torch.set_num_threads(1)
    cases = configs(place.device)
    found = [_around(cases[IMAGE], rounds, folder, after_round, place)]
    for name, case in ((STACKED, PERCEPTRONS), (MIXED, GROWING), (CONV, IMAGES)):
        found.append(_stacked(name, cases[case], rounds, after_round, place))
    if place.device == "cpu":
        found.append(_workers(rounds, after_round))
    return [*found, *governing.measure(cases[IMAGE], rounds, after_round, place)]


def configs(device: str = "cpu") -> dict[str, TrainConfig]:
    """What is trained, by a name that says it."""
    common = TrainConfig(task="digits", envs=1, steps=STEPS, heuristic=WAITING, device=device)
    perceptrons = replace(common, task="spirals", envs=32)
    return {
        IMAGE: common,
        IMAGES: replace(common, envs=4),
        PERCEPTRONS: perceptrons,
        GROWING: replace(perceptrons, policy="random", episode_steps=20),
    }


def _bound(name: str, place: Place) -> float | None:
    return BOUNDS[name] if place.device == "cpu" else None


def _around(config: TrainConfig, rounds: int, folder: Path, after_round: Callable[[], object], place: Place) -> Measured:
    bare = Bare(config)
    with ExitStack() as held:
        trainer = begun(config, held, folder / "around")
        contestants = {"step": partial(place.sample, step_of(trainer)), "bare": partial(place.sample, bare.step)}
        samples = warmed_in_turns(contestants, rounds, after_round)
        host = trainer.run.envs.envs[0].training.host
        theirs = [*dict(bare.host.named_parameters()).values(), *dict(bare.host.named_buffers()).values()]
        pairs = zip(host.stable_tensors().values(), theirs, strict=True)
        # A device rounds as it likes.
        equal = all(torch.equal(mine, theirs) for mine, theirs in pairs)
        assert equal or place.device != "cpu", "both train the same host on the same batches"
    return measured(AROUND, samples["step"], samples["bare"], _bound(AROUND, place), at_most=True, clock=place.clock)


def _stacked(name: str, config: TrainConfig, rounds: int, after_round: Callable[[], object], place: Place) -> Measured:
    with ExitStack() as held:
        runs = {backend: begun(replace(config, backend=backend), held) for backend in BACKENDS}
        samples = warmed_in_turns({key: partial(place.sample, step_of(run)) for key, run in runs.items()}, rounds, after_round)
    return measured(name, samples["loop"], samples["stacked"], _bound(name, place), at_most=False, clock=place.clock)


def _workers(rounds: int, after_round: Callable[[], object]) -> Measured:
    config = replace(configs()[IMAGE], envs=8)
    with ExitStack() as held:
        one, two = (begun(config, held, workers=workers) for workers in (1, 2))
        # The CPU of this process is not that of workers, so the wall decides.
        contestants = {name: partial(process_sample, step_of(run)) for name, run in (("one", one), ("two", two))}
        samples = warmed_in_turns(contestants, rounds, after_round)
        told = [[to_line(0, event) for event in trainer.run.history.events] for trainer in (one, two)]
        assert told[0] == told[1], "one process and two come to the same history"
    # The one works all the time, so that whoever else had the machine shows in it.
    found = measured(WORKERS, samples["one"], samples["two"], BOUNDS[WORKERS], at_most=False, clock="wall")
    alone = measured(WORKERS, samples["two"], samples["one"], None, at_most=False, clock="wall")
    return replace(found, contended=alone.contended)
