"""The governor's promises on a CUDA device: a byte-exact rollback, and no torn copy while another stream still writes."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
import torch

from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.governor.config import GovernorConfig
from tolaria.governor.rollback import roll_back
from tolaria.governor.snapshots import SnapshotRing
from tolaria.ppo.row import Row
from tolaria.seams import NO_TAPS, ROLLED_BACK, ROLLOUT_READY, SNAPSHOT_TAKEN, STEP_FINISHED, WEIGHTS_UPDATED, Seam, T
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import PenaltyDelivered, RolledBack
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
    return {name: tensor.cpu().numpy().tobytes() for name, tensor in tensors.items() if name.startswith("host/")}


@dataclass(slots=True)
class Witness:
    """Keeps bytes of hosts as a run passes, and puts a NaN into a weight of the environment that is struck."""

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


class Told:
    """A sink that keeps events."""

    def __init__(self) -> None:
        self.events = []

    def write(self, event) -> None:
        self.events.append(event)
