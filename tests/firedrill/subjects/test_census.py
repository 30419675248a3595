"""A census counts what is there, and says how much more there is than before."""

import threading
from pathlib import Path

import torch

from firedrill.events import CensusTaken
from firedrill.subjects.census import Census
from tolaria.env.capsule import CapsuleHost
from tolaria.env.config import TrainingConfig
from tolaria.seams import NO_TAPS
from tolaria.tasks import TASKS
from tolaria.telemetry.event import Point


def test_everything_that_is_left_behind_is_counted(tmp_path: Path) -> None:
    host = CapsuleHost(TASKS["spirals"](), TrainingConfig(), 0, torch.device("cpu"), NO_TAPS, lambda _: None)
    first = Census.of([host])
    kept = torch.zeros(10)
    # Two tensors, and the bytes of one.
    seen = kept[:5]
    handles = [host.host.head.register_forward_hook(print), host.optimizers["host"].register_step_post_hook(print)]
    leave = threading.Event()
    threading.Thread(target=leave.wait, daemon=True).start()
    with (tmp_path / "file").open("w"):
        grown = Census.of([host]).since(first, Point(3, 1))
    leave.set()
    assert grown == CensusTaken(Point(3, 1), tensors=2, tensor_bytes=40, hooks=2, threads=1, files=1)
    del kept, seen
    assert Census.of([host]).tensors == first.tensors
    assert len(handles) == 2
