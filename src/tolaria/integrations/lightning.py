"""The governor in PyTorch Lightning: `Trainer(callbacks=[GovernorCallback(chance_loss=math.log(10))])`. Needs the extra `lightning`."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision

from tolaria.errors import BudgetSpent, ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.loop_state import Ema
from tolaria.integrations.plain import Answer, Guard, watch
from tolaria.telemetry.event import Event


class GovernorCallback(Callback):
    """Watches the module that is fitted, its optimizers and schedulers, and the scaler where there is one.

    `answer` is the latest. When the budget is spent the trainer is asked to stop, and `stopped` says why.
    """

    def __init__(
        self,
        config: GovernorConfig | None = None,
        *,
        chance_loss: float,
        ema: Ema | None = None,
        emit: Callable[[Event], None] | None = None,
    ) -> None:
        self.answer: Answer | None = None
        self.stopped: BudgetSpent | None = None
        self._config = config
        self._chance_loss = chance_loss
        self._ema = ema
        self._emit = emit
        self._guard: Guard | None = None
        self._losses: list[torch.Tensor] = []
        self._steps = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checkpoints have been loaded by now, so the first snapshot is of what training begins with."""
        precision = trainer.precision_plugin
        self._guard = watch(
            pl_module,
            trainer.optimizers,
            self._config,
            chance_loss=self._chance_loss,
            scheduler=[entry.scheduler for entry in trainer.lr_scheduler_configs],
            scaler=precision.scaler if isinstance(precision, MixedPrecision) else None,
            ema=self._ema,
            emit=self._emit,
        )
        self._steps = trainer.global_step
        self._losses = []
        self.stopped = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Judge where the optimizer has stepped; a batch that is accumulated only adds its loss."""
        assert self._guard is not None
        if outputs:
            self._losses.append(_loss(outputs) * trainer.accumulate_grad_batches)
        if trainer.global_step == self._steps or not self._losses:
            return
        self._steps = trainer.global_step
        losses, self._losses = torch.stack(self._losses), []
        try:
            self.answer = self._guard.after_step(losses)
        except BudgetSpent as spent:
            self.stopped = spent
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge what has not been read yet."""
        assert self._guard is not None
        try:
            self.answer = self._guard.finish() or self.answer
        except BudgetSpent as spent:
            self.stopped = spent


def _loss(outputs: Any) -> torch.Tensor:
    # Lightning has divided it by the batches that are accumulated.
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    if not isinstance(loss, torch.Tensor):
        raise ConfigError("training_step", type(outputs).__name__, "a loss, or a dictionary with one; with manual optimization, too")
    return loss.detach()
