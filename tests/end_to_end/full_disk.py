"""Trains a run whose checkpoints lie on a file system that is too small for a second one, and tells on stdout which step is found at last.

Usage: full_disk.py FOLDER, where FOLDER/checkpoints is that file system.
"""

import sys
from pathlib import Path

import torch

from tolaria.env.config import TrainingConfig
from tolaria.train import checkpoint
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer

CONFIG = TrainConfig(task="spirals", envs=1, steps=4, rollout_steps=4, checkpoint_every=1, training=TrainingConfig(batches_per_step=1))

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    trainer = Trainer.start(CONFIG, folder)
    trainer.train()
    trainer.close()
    # Whoever makes room gets what is new.
    step = checkpoint.read_newest(folder / "checkpoints", lambda _, facts: facts["step"])[0]
    sys.stdout.write(f"{step}\n")
