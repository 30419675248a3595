"""The subject `transformers`: the same network and data in the Trainer of Hugging Face, with what that trainer has against trouble.

max_grad_norm   `TrainingArguments(max_grad_norm=1.0)`, which is its default
nan_filter      `TrainingArguments(logging_nan_inf_filter=True)`, also its default, with `max_grad_norm=0`
tolaria         `GovernorCallback`, with `max_grad_norm=0`
"""

import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils.data import IterableDataset
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging

from firedrill.subjects.drill import Drill
from firedrill.subjects.workload import Workload
from tolaria.integrations.transformers import GovernorCallback

NORM_MAX = 1.0

Inputs = dict[str, torch.Tensor]


class WithLoss(torch.nn.Module):
    """A model as the trainer likes them: given labels it returns its loss. Its parts are the network's, under the same names."""

    def __init__(self, network: torch.nn.Module, drill: Drill) -> None:
        super().__init__()
        for name, part in network.named_children():
            self.add_module(name, part)
        self._drill = drill

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        """Logits [B, C], or a dictionary with the loss, which passes its seam where it is made."""
        hidden = inputs
        for part in self.children():
            hidden = part(hidden)
        if labels is None:
            return hidden
        return {"loss": self._drill.loss(F.cross_entropy(hidden, labels)), "logits": hidden}


class Stream(IterableDataset[Inputs]):
    """All batches of the run."""

    def __init__(self, work: Workload, steps: int) -> None:
        self._work, self._steps = work, steps

    def __iter__(self) -> Iterator[Inputs]:
        return ({"inputs": inputs, "labels": targets} for inputs, targets in self._work.batches(self._steps))


class Drilled(Trainer):
    """A user's trainer; the harness stands around its training step and drives nothing."""

    def __init__(self, drill: Drill, **options: Any) -> None:
        super().__init__(**options)
        self._drill = drill

    def training_step(self, model: torch.nn.Module, inputs: Inputs, *rest: Any, **named: Any) -> torch.Tensor:
        """Forward and backward; what follows is clipping."""
        self._drill.begin_step()
        seen, labels = self._drill.batch(inputs["inputs"], inputs["labels"])
        loss: torch.Tensor = super().training_step(model, {"inputs": seen, "labels": labels}, *rest, **named)
        self._drill.gradients()
        return loss


class Last(TrainerCallback):
    """Called after every other callback: the step is over."""

    def __init__(self, drill: Drill) -> None:
        self._drill = drill

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Also the step in which training is stopped."""
        self._drill.finish_step()


def train(drill: Drill) -> None:
    """Train, in quiet."""
    setup = drill.setup
    loop = Workload(setup.task, setup.optimizer, setup.seed, setup.device)
    loop.model = WithLoss(loop.model, drill)
    drill.attach(loop)
    callbacks: list[TrainerCallback] = []
    if setup.mechanism == "tolaria":
        callbacks.append(GovernorCallback(setup.governor, chance_loss=loop.chance_loss, emit=drill.emit))
    logging.set_verbosity_error()
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.simplefilter("ignore")
        arguments = TrainingArguments(
            output_dir=scratch,
            max_steps=setup.steps,
            per_device_train_batch_size=1,
            max_grad_norm=NORM_MAX if setup.mechanism == "max_grad_norm" else 0.0,
            logging_nan_inf_filter=setup.mechanism == "nan_filter",
            lr_scheduler_type="constant",
            logging_steps=10,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=setup.device == "cpu",
            dataloader_num_workers=0,
            remove_unused_columns=False,
            seed=setup.seed % 2**32,
        )
        trainer = Drilled(
            drill,
            model=loop.model,
            args=arguments,
            train_dataset=Stream(loop, setup.steps),
            data_collator=lambda rows: rows[0],
            optimizers=(loop.optimizer, None),
            callbacks=[*callbacks, Last(drill)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
