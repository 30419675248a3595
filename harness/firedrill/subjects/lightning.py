"""The subject `lightning`: the same network and data in a Trainer of PyTorch Lightning, with what Lightning itself has against trouble.

gradient_clip_val   `Trainer(gradient_clip_val=1.0)`
early_stopping      `EarlyStopping("train_loss", check_finite=True)`, which looks at the end of every epoch of 20 batches
detect_anomaly      `Trainer(detect_anomaly=True)`: autograd raises at the first NaN in a backward pass
tolaria             `GovernorCallback`
"""

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from firedrill.subjects.drill import Drill
from firedrill.subjects.workload import Workload
from tolaria.integrations.lightning import GovernorCallback
from tolaria.telemetry.event import Point
from tolaria.telemetry.governor_events import EnvironmentRetired

EPOCH = 20
NORM_MAX = 1.0
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}

Batch = tuple[torch.Tensor, torch.Tensor]


class Epochs(IterableDataset[Batch]):
    """The stream of batches, cut into epochs."""

    def __init__(self, work: Workload) -> None:
        self._work = work

    def __iter__(self) -> Iterator[Batch]:
        return self._work.batches(EPOCH)


class Module(pl.LightningModule):
    """A user's module; the seams are where Lightning calls it, and the harness drives nothing."""

    def __init__(self, work: Workload, drill: Drill) -> None:
        super().__init__()
        self.net = work.model
        self._optimizer = work.optimizer
        self._drill = drill

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Made before, because the drill already knows it."""
        return self._optimizer

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """A step begins with its batch."""
        self._drill.begin_step()
        return self._drill.batch(*batch)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Mean cross-entropy in nats."""
        inputs, targets = batch
        loss = self._drill.loss(F.cross_entropy(self.net(inputs), targets))
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def on_after_backward(self) -> None:
        """Before Lightning clips."""
        self._drill.gradients()


class Last(Callback):
    """Called after every other callback: the step is over."""

    def __init__(self, drill: Drill) -> None:
        self._drill = drill

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: Any) -> None:
        """Also the step in which training is stopped."""
        self._drill.finish_step()


def train(drill: Drill) -> None:
    """Fit, in quiet."""
    setup = drill.setup
    loop = Workload(setup.task, setup.optimizer, setup.seed, setup.device)
    drill.attach(loop)
    callbacks: list[Callback] = []
    options: dict[str, Any] = {}
    if setup.mechanism == "tolaria":
        callbacks.append(GovernorCallback(setup.governor, chance_loss=loop.chance_loss, emit=drill.emit))
    elif setup.mechanism == "early_stopping":
        # Patience without end, so that only what is not finite stops it.
        callbacks.append(EarlyStopping("train_loss", patience=setup.steps, check_finite=True))
    elif setup.mechanism == "gradient_clip_val":
        options["gradient_clip_val"] = NORM_MAX
    elif setup.mechanism == "detect_anomaly":
        options["detect_anomaly"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = pl.Trainer(
            accelerator=setup.device, devices=1, max_steps=setup.steps, callbacks=[*callbacks, Last(drill)], **QUIET, **options
        )
        trainer.fit(Module(loop, drill), DataLoader(Epochs(loop), batch_size=None))
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and trainer.should_stop:
            drill.emit(EnvironmentRetired(Point(drill.step + 1), 0, str(callback.stopping_reason_message)))
