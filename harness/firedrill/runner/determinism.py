"""The same bits twice: what PyTorch is told for that on a device, and a certificate of what came of it.

On a CPU one thread is enough. On a CUDA device some kernels add in whatever order their threads come, cuBLAS chooses its
workspace anew, and cuDNN the fastest of several algorithms; each of them is told not to. What has no other way is left, with a
warning, and the certificate says for which tasks two runs differed.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
import xxhash

from firedrill.subjects.growth import states_left
from tolaria.seams import NO_TAPS
from tolaria.telemetry.codec import to_line
from tolaria.telemetry.history import History
from tolaria.telemetry.run_events import RunStarted
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer

SCHEMA = "firedrill.certificate/1.0"
# cuBLAS reads it when CUDA starts.
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@dataclass(frozen=True, slots=True)
class Certified:
    """One task, trained twice: digests of all that was told and of all that was left."""

    task: str
    digests: tuple[str, str]

    @property
    def is_same(self) -> bool:
        """Whether both runs were the same, to the last bit."""
        return self.digests[0] == self.digests[1]


def settle(device: str) -> None:
    """From here on this process computes the same bits every time, as far as PyTorch knows a way; the CPU does so anyway."""
    if device != "cuda":
        return
    os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def settings() -> dict[str, str]:
    """What decides about bits in this process."""
    return {
        "deterministic algorithms": str(torch.are_deterministic_algorithms_enabled()),
        "only warned of others": str(torch.is_deterministic_algorithms_warn_only_enabled()),
        "cuDNN benchmark": str(torch.backends.cudnn.benchmark),
        "cuDNN TF32": str(torch.backends.cudnn.allow_tf32),
        "matmul TF32": str(torch.backends.cuda.matmul.allow_tf32),
        "threads": str(torch.get_num_threads()),
        WORKSPACE: os.environ.get(WORKSPACE, ""),
        "torch": torch.__version__,
        "CUDA": str(torch.version.cuda),
        "cuDNN": str(torch.backends.cudnn.version()),
    }


def certify(configs: Mapping[str, TrainConfig]) -> tuple[Certified, ...]:
    """Train each twice in this process."""
    return tuple(Certified(task, (_digest(config), _digest(config))) for task, config in configs.items())


def certificate(device: str, certified: Sequence[Certified]) -> dict[str, object]:
    """As JSON."""
    tasks = [asdict(one) | {"is_same": one.is_same} for one in certified]
    return {"schema": SCHEMA, "device": device, "settings": settings(), "tasks": tasks}


def _digest(config: TrainConfig) -> str:
    history = History()
    trainer = Trainer.tapped(config, history, NO_TAPS)
    trainer.train()
    hasher = xxhash.xxh3_128()
    # The beginning tells of versions and of the commit, which say nothing of what was computed.
    for event in (*(told for told in history.events if not isinstance(told, RunStarted)), *states_left(trainer.run)):
        hasher.update(to_line(0, event).encode())
    history.close()
    trainer.close()
    return hasher.hexdigest()
