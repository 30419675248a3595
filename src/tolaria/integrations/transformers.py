"""The governor in the Trainer of Hugging Face: `Trainer(..., callbacks=[GovernorCallback(chance_loss=math.log(vocabulary))])`.

Needs the extra `transformers`. The trainer tells its callbacks no loss, so it is read off the model's output on its way out.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.scheduler import AcceleratedScheduler
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.hooks import RemovableHandle
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tolaria.errors import BudgetSpent, ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.loop_state import Ema
from tolaria.integrations.plain import Answer, Guard, watch
from tolaria.telemetry.event import Event


class GovernorCallback(TrainerCallback):
    """Watches the trainer's model, optimizer, scheduler and, where there is one, scaler.

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
        self._hook: RemovableHandle | None = None
        self._losses: list[torch.Tensor] = []
        self._are_parts = False

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Checkpoints have been loaded by now, so the first snapshot is of what training begins with."""
        optimizer, scheduler = kwargs["optimizer"], kwargs["lr_scheduler"]
        accelerated = isinstance(optimizer, AcceleratedOptimizer)
        if isinstance(scheduler, AcceleratedScheduler):
            scheduler = scheduler.scheduler
        self._guard = watch(
            kwargs["model"],
            optimizer.optimizer if accelerated else optimizer,
            self._config,
            chance_loss=self._chance_loss,
            scheduler=scheduler if isinstance(scheduler, LRScheduler) else (),
            scaler=optimizer.scaler if accelerated else None,
            ema=self._ema,
            emit=self._emit,
        )
        self._hook = kwargs["model"].register_forward_hook(self._listen, with_kwargs=True)
        self._losses = []
        self.stopped = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Judge; the optimizer has stepped, however many batches it took."""
        assert self._guard is not None
        if not self._losses:
            raise ConfigError("model", "no loss in its output", "a model that is given labels and returns its loss")
        losses, self._losses = torch.stack(self._losses), []
        try:
            self.answer = self._guard.after_step(losses.sum() if self._are_parts else losses)
        except BudgetSpent as spent:
            self.stopped = spent
            control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Judge what has not been read yet, and leave the model alone."""
        assert self._guard is not None
        assert self._hook is not None
        self._hook.remove()
        try:
            self.answer = self._guard.finish() or self.answer
        except BudgetSpent as spent:
            self.stopped = spent

    def _listen(self, model: torch.nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], outputs: Any) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else None
        if not isinstance(loss, torch.Tensor) or not torch.is_grad_enabled():
            return
        # Told how many items the accumulated batches have, the model divides by all of them: then the losses are to be summed.
        self._are_parts = named.get("num_items_in_batch") is not None
        self._losses.append(loss.detach())
