"""Writes a certificate of determinism: every task trained twice on one device, and the settings under which that was done."""

import json
import sys
from pathlib import Path

from firedrill.runner.determinism import Certified, certificate, certify, settle
from tolaria.env.config import TrainingConfig
from tolaria.train.config import TrainConfig

# One with linear layers, one with convolutions and batch normalisation, one with embeddings and attention.
TASKS = ("spirals", "digits", "pydoc_lm")


def config(task: str, device: str, steps: int) -> TrainConfig:
    """A run in which seeds grow and a controller learns."""
    training = TrainingConfig(batches_per_step=3)
    return TrainConfig(task=task, policy="ppo", envs=2, steps=steps, rollout_steps=4, seed=5, device=device, training=training)


def write(path: Path, device: str = "cuda", steps: int = 8, tasks: tuple[str, ...] = TASKS) -> tuple[Certified, ...]:
    """Certify and write it down."""
    settle(device)
    certified = certify({task: config(task, device, steps) for task in tasks})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(certificate(device, certified), indent=1) + "\n", encoding="utf-8")
    return certified


if __name__ == "__main__":
    sys.exit(0 if all(one.is_same for one in write(Path(sys.argv[1]))) else 1)
