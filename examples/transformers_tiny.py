"""The Trainer of Hugging Face with one callback more. Needs `pip install tolaria[transformers]`; nothing is downloaded.

A tiny GPT-2, built from a config, learns to count. Before step 60 a NaN strikes a weight.
"""

import math
import tempfile
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments, set_seed

from tolaria.integrations.transformers import GovernorCallback
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import RolledBack

WORDS = 32


class Strike(TrainerCallback):
    """The fault: NaN in an attention weight."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Strike once."""
        if state.global_step == 59:
            with torch.no_grad():
                kwargs["model"].transformer.h[0].attn.c_attn.weight[0, 0] = math.nan


def tell(event: Event) -> None:
    """Print what was rolled back."""
    if isinstance(event, RolledBack):
        print(f"step {event.at.step}: {event.decision.cause}, rolled back to the snapshot of step {event.snapshot_step}")


set_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0))
lines = [torch.arange(start, start + 16) % WORDS for start in range(WORDS)]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        use_cpu=True,
        max_steps=150,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=2,
        learning_rate=1e-2,
        warmup_steps=10,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    callbacks = [Strike(), GovernorCallback(chance_loss=math.log(WORDS), emit=tell)]
    Trainer(model, arguments, train_dataset=[{"input_ids": line, "labels": line} for line in lines], callbacks=callbacks).train()

model.eval()
with torch.no_grad():
    answers = torch.stack([model(line[None]).logits[0, 7] for line in lines]).argmax(dim=1)
right = sum(int(answer) == (start + 8) % WORDS for start, answer in enumerate(answers))
print(f"numbers it continues rightly: {right} of {WORDS}")
