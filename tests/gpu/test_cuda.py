"""The governor's promises on a CUDA device: a byte-exact rollback, and no torn copy while another stream still writes."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.rollback import roll_back
from tolaria.governor.snapshots import Snapshot, SnapshotRing
from tolaria.ppo.row import Row
from tolaria.seams import NO_TAPS, ROLLED_BACK, ROLLOUT_READY, SNAPSHOT_TAKEN, STEP_FINISHED, WEIGHTS_UPDATED, Seam, T
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import PenaltyDelivered
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer

pytestmark = pytest.mark.gpu

# cuBLAS reads it when CUDA starts, and nothing has started CUDA while tests are collected.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

DEVICE = "cuda"
STRUCK = Point(7, 1)
CONFIG = TrainConfig(
    task="spirals", envs=3, steps=12, rollout_steps=12, checkpoint_every=1000, device=DEVICE, training=TrainingConfig(batches_per_step=2)
)
# Long enough for the host to reach the copy that would be torn, on any device.
CYCLES = 1_000_000_000

Bytes = dict[str, bytes]


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def raw(tensors: dict[str, torch.Tensor]) -> Bytes:
    """The bytes of a host's tensors; equal bytes say more than equal numbers, of which NaN is never one."""
    return {name: tensor.detach().cpu().numpy().tobytes() for name, tensor in tensors.items() if name.startswith("host/")}


@dataclass(slots=True)
class Witness:
    """Keeps bytes of hosts as a run goes, and puts a NaN into a weight of the environment that is struck."""

    strikes: bool
    snapshots: dict[tuple[int, int], Bytes] = field(default_factory=dict)
    rolled_back: list[tuple[int, int, Bytes]] = field(default_factory=list)
    finished: dict[tuple[int, int], Bytes] = field(default_factory=dict)
    rows: dict[int, tuple[Row, ...]] = field(default_factory=dict)

    def pass_through(self, seam: Seam[T], at: Point, value: T) -> T:
        if self.strikes and seam is WEIGHTS_UPDATED and (at.step, at.env, at.batch) == (STRUCK.step, STRUCK.env, 0):
            with torch.no_grad():
                next(value.host.parameters()).view(-1)[0] = math.nan
        if seam is SNAPSHOT_TAKEN:
            self.snapshots[at.env, value.snapshot] = raw(value.trainee.stable_tensors())
        if seam is ROLLED_BACK:
            self.rolled_back.append((at.env, value.snapshot, raw(value.trainee.stable_tensors())))
        if seam is STEP_FINISHED:
            self.finished[at.env, at.step] = raw(value.all_tensors())
        if seam is ROLLOUT_READY:
            self.rows = {env: value.rows(env) for env in range(value.num_envs)}
        return value


def run_through(strikes: bool) -> tuple[Trainer, Witness]:
    """The same run, struck or not."""
    witness = Witness(strikes)
    trainer = Trainer.tapped(CONFIG, History(), witness)
    assert trainer.train()
    return trainer, witness


def test_a_nan_is_rolled_back_to_the_byte_and_bystanders_notice_nothing() -> None:
    trainer, struck = run_through(strikes=True)
    _, control = run_through(strikes=False)

    (env, number, restored), *more = struck.rolled_back
    assert (env, more) == (STRUCK.env, [])
    assert restored == struck.snapshots[env, number]
    assert control.rolled_back == []

    (told,) = (event for event in trainer.run.history.events if isinstance(event, PenaltyDelivered))
    assert (told.at, told.amount, told.row) == (STRUCK, -10.0, 7)
    assert [(row.step, row.terminated) for row in struck.rows[STRUCK.env] if row.penalized] == [(7, True)]
    borne = tuple((row.step, row.reward if row.penalized else row.share) for row in struck.rows[STRUCK.env] if row.charged)
    assert math.fsum(amount for _, amount in borne) == -10.0
    assert told.shares == borne
    assert len(struck.rows[STRUCK.env]) == CONFIG.steps

    def bystanders(witness: Witness) -> dict[tuple[int, int], Bytes]:
        return {(env, step): kept for (env, step), kept in witness.finished.items() if env != STRUCK.env}

    assert len(bystanders(control)) == 2 * CONFIG.steps
    assert bystanders(struck) == bystanders(control)


@pytest.fixture
def host() -> CapsuleHost:
    """A host of spirals on the device."""
    host = CapsuleHost(TASKS["spirals"](), TrainingConfig(), 0, torch.device(DEVICE), NO_TAPS, [].append)
    host.loss_before = 1.0
    return host


def weight_of(host: CapsuleHost) -> torch.nn.Parameter:
    return next(host.host.parameters())


def write_late(weight: torch.nn.Parameter, value: float, cycles: int = CYCLES) -> torch.cuda.Stream:
    """Fill a weight on another stream, behind a kernel that runs for that long; returns at once."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side), torch.no_grad():
        torch.cuda._sleep(cycles)
        weight.fill_(value)
    return side


def take(ring: SnapshotRing, host: CapsuleHost) -> Snapshot:
    return ring.take(host.stable_tensors(), host.facts(), 0, "begin", bool, bool)


def load_kernels(ring: SnapshotRing, host: CapsuleHost) -> None:
    """Do everything once: loading a kernel may wait for the device, and hide a race."""
    take(ring, host)
    write_late(weight_of(host), 0.25, cycles=1)
    roll_back(ring, host, Point(0), False, GovernorConfig(), NO_TAPS)
    torch.cuda.synchronize()


def test_a_snapshot_holds_what_another_stream_is_still_writing(host: CapsuleHost) -> None:
    ring = SnapshotRing(kept=3, probation=3)
    load_kernels(ring, host)
    late = write_late(weight_of(host), 0.5)
    assert not late.query()
    snapshot = take(ring, host)
    torch.cuda.synchronize()
    assert bool((weight_of(host) == 0.5).all())
    assert raw(snapshot.tensors) == raw(host.stable_tensors())
    assert snapshot.is_intact()


def test_a_rollback_is_not_overwritten_by_what_another_stream_is_still_writing(host: CapsuleHost) -> None:
    ring = SnapshotRing(kept=3, probation=3)
    load_kernels(ring, host)
    saved = raw(take(ring, host).tensors)
    late = write_late(weight_of(host), math.nan)
    assert not late.query()
    roll_back(ring, host, Point(1), False, GovernorConfig(), NO_TAPS)
    torch.cuda.synchronize()
    assert raw(host.stable_tensors()) == saved
