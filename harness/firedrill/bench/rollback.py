"""What a rollback comes to, part by part, beside what somebody would write who kept copies of model and optimizer.

validate    digest, topology, names, shapes and dtypes
lifecycle   slots and their optimizers as the snapshot has them
copy        every tensor of the host
optimizer   optimizer state and counters
buffer      the penalty, to the row of the step that collapsed
total       from the verdict until the penalty is owed

On a device a copy is put into its stream and goes on by itself; it is waited for at the end of the optimizer's part.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from firedrill.bench.clock import THREAD, Place, Sample
from firedrill.bench.ratios import Measured, in_turns, measured
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.governor import Governor
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.row import Row
from tolaria.seams import NO_TAPS
from tolaria.tasks.wide import wide, width_of
from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.governor_events import RolledBack
from tolaria.vitals import Vitals

# Rollbacks within so many steps are all that ever happen, and none is the one too many.
BUDGET = GovernorConfig(budget=10**9, ease_from=10**9, relapse_steps=0)
# What the governor times, by the name that it has there.
PARTS = {"validate": "validate", "rebuild": "lifecycle", "copy": "copy", "settle": "optimizer"}
TOTAL, BUFFER = "total", "buffer"
LOADED, LOADED_CHECKED, COPIED = "load_state_dict", "load_state_dict after a finiteness check", "deepcopy and load_state_dict"
PEERS = (LOADED, LOADED_CHECKED, COPIED)
# Nothing was promised of these: they say where the time goes, and what the transaction costs beside a bare reload.
SIZES = {"0.1M": 100_000, "1M": 1_000_000, "10M": 10_000_000}
WARMUPS = 2


@dataclass(slots=True)
class Struck:
    """A host under its governor, and what its rollbacks told of themselves."""

    host: CapsuleHost
    governor: Governor
    told: list[Event]
    step: int = 0
    parts: dict[str, list[Sample]] = field(default_factory=dict)

    def roll_back(self) -> None:
        """A step with a loss that is no number, judged and enforced."""
        self.step += 1
        at = Point(self.step, 0)
        vitals = Vitals(self.step, float("nan"), float("nan"), 0.0, 1.0)
        response = self.governor.enforce(self.governor.judge(vitals, at), vitals, self.host, at, False)
        assert response.penalty is not None, "it was to be rolled back"
        durations = next(event.work.durations for event in reversed(self.told) if isinstance(event, RolledBack))
        assert durations is not None, "the governor times its rollbacks"
        for phase, name in PARTS.items():
            seconds = float(getattr(durations, phase))
            self.parts.setdefault(name, []).append(Sample(seconds, seconds))
        self.told.clear()


def struck(size: str, device: str = "cpu") -> Struck:
    """A host of that size which has trained a step, so that its optimizer has momentum, and has been snapshotted."""
    told: list[Event] = []
    task = wide(width_of(SIZES[size]))
    host = CapsuleHost(task, TrainingConfig(batches_per_step=1), 0, torch.device(device), NO_TAPS, told.append)
    host.train(Point(0, 0))
    host.loss_before = 1.0
    governor = Governor(BUDGET, task.chance_loss, task.explosion_loss, NO_TAPS, told.append)
    governor.begin(host, Point(0, 0))
    return Struck(host, governor, told)


def reloading(host: CapsuleHost, checked: bool, copied: bool) -> Callable[[], None]:
    """What people write: copies of both states, loaded again."""
    model, optimizer = host.host, host.optimizers["host"]
    kept = copy.deepcopy((model.state_dict(), optimizer.state_dict()))

    def reload() -> None:
        weights, state = copy.deepcopy(kept) if copied else kept
        assert not checked or all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)

    return reload


def charging() -> Callable[[], None]:
    """The row of a step that collapsed, with its penalty, into a buffer of 20 rows."""
    buffer = RolloutBuffer(1, 20, PpoConfig())
    row = Row.death(0, 0, None, -10.0, fresh=True)

    def charge() -> None:
        buffer.clear()
        buffer.charge(0, row, ())

    return charge


def rounds_of(sizes: Sequence[str], rounds: int) -> int:
    """How often `after_round` will be called where all of these are measured."""
    return len(sizes) * (rounds + WARMUPS)


def measure(size: str, rounds: int, after_round: Callable[[], object], place: Place = THREAD) -> list[Measured]:
    """Everything at one size, in turns."""
    torch.set_num_threads(1)
    ours, theirs = struck(size, place.device), struck(size, place.device).host
    calls: Mapping[str, Callable[[], None]] = {
        TOTAL: ours.roll_back,
        BUFFER: charging(),
        LOADED: reloading(theirs, checked=False, copied=False),
        LOADED_CHECKED: reloading(theirs, checked=True, copied=False),
        COPIED: reloading(theirs, checked=False, copied=True),
    }
    contestants = {name: partial(place.sample, call) for name, call in calls.items()}
    in_turns(contestants, WARMUPS, after_round)
    ours.parts.clear()
    samples = in_turns(contestants, rounds, after_round)
    found = _against_peers("rollback", samples, place.clock)
    parts = {name: ours.parts[name] for name in PARTS.values()} | {BUFFER: samples[BUFFER]}
    # The governor times its parts by the wall clock, so the whole is taken by it as well.
    found += [measured(f"{name} / rollback", taken, samples[TOTAL], None, at_most=True, clock="wall") for name, taken in parts.items()]
    if place.worked is not None:
        on_device = {name: partial(place.worked, calls[name]) for name in (TOTAL, *PEERS)}
        found += _against_peers("device works for a rollback", in_turns(on_device, rounds, _nothing), "device")
    return [replace(one, name=f"{one.name}, {size}", params=SIZES[size]) for one in found]


def _against_peers(name: str, samples: Mapping[str, list[Sample]], clock: str) -> list[Measured]:
    return [measured(f"{name} / {peer}", samples[TOTAL], samples[peer], None, at_most=True, clock=clock) for peer in PEERS]


def _nothing() -> None:
    """The bar counts rounds by one clock only."""
