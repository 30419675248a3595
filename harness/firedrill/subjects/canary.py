"""The subject `canary`: the growth subject with a bug that was planted on purpose, so that a campaign can prove that it sees.

The bug is one that such systems really had: a rollback restores the momentum that led to the collapse.
"""

from collections.abc import Mapping

import torch

from firedrill.subjects import growth
from tolaria.env.capsule import CapsuleHost
from tolaria.seams import Taps
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer


class MomentumKept(CapsuleHost):
    """Restores optimizers as they were, whatever the policy says."""

    def restore_optimizers(self, saved: Mapping[str, torch.Tensor], policy: str) -> None:
        """The bug."""
        super().restore_optimizers(saved, "restore")


def build(config: TrainConfig, history: History, taps: Taps) -> Trainer:
    """A run whose hosts all have the bug, and which is the real one in everything else."""
    trainer = growth.build(config, history, taps)
    for env in trainer.run.envs.envs:
        env.training.__class__ = MomentumKept
    return trainer
