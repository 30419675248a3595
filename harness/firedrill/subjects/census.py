"""What a process holds that a rollback could leave behind, counted from outside."""

import gc
import threading
from collections.abc import Iterable
from dataclasses import astuple, dataclass

import psutil
import torch

from firedrill.events import CensusTaken
from firedrill.subjects.growth import hooks_of
from tolaria.env.capsule import CapsuleHost
from tolaria.telemetry.event import Point


@dataclass(frozen=True, slots=True)
class Census:
    """All live tensors and the bytes that they share, hooks of these hosts and their optimizers, threads, open files."""

    tensors: int
    tensor_bytes: int
    hooks: int
    threads: int
    files: int

    @staticmethod
    def of(hosts: Iterable[CapsuleHost]) -> "Census":
        """Count now; what nobody refers to any more is collected first."""
        gc.collect()
        # By their type, because some of PyTorch's objects answer with a warning when they are asked for their class.
        tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
        return Census(len(tensors), sum(storages.values()), sum(map(hooks_of, hosts)), threading.active_count(), psutil.Process().num_fds())

    def since(self, first: "Census", at: Point) -> CensusTaken:
        """How much more there is than at the first census: what a process begins with differs from machine to machine."""
        return CensusTaken(at, *(now - then for now, then in zip(astuple(self), astuple(first), strict=True)))
