"""The callback in a real Trainer of Hugging Face, on a model that is built from a config."""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.transformers import GovernorCallback
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, RolledBack, SnapshotTaken

WORDS = 11
CHANCE = math.log(WORDS)
CONFIG = GovernorConfig(snapshot_every=4, probation=2, optimizer="restore")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What the Trainer has to say of a machine without a GPU is not our affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Model(GPT2LMHeadModel):
    """Two tiny layers, embedding and head tied. `spoil` are the forward passes whose loss is NaN."""

    spoil: tuple[int, ...] = ()
    calls = 0

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor, **named: Any) -> Any:
        outputs = super().forward(input_ids, labels=labels, **named)
        if self.training:
            if self.calls in self.spoil:
                outputs.loss = outputs.loss * math.nan
            self.calls += 1
        return outputs


class Probe(TrainerCallback):
    """Keeps the weights and the rate as they were after each step, once the governor has been."""

    def __init__(self) -> None:
        self.weights: list[bytes] = []
        self.rates: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.weights.append(b"".join(tensor.detach().numpy().tobytes() for tensor in kwargs["model"].parameters()))
        self.rates.append(kwargs["optimizer"].param_groups[0]["lr"])


def model(spoil: tuple[int, ...] = ()) -> Model:
    torch.manual_seed(0)
    tiny = Model(GPT2Config(vocab_size=WORDS, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0))
    tiny.spoil = spoil
    return tiny


def fit(tiny: torch.nn.Module, root: Path, callback: GovernorCallback, **options: Any) -> Probe:
    words = [torch.tensor([(start + place) % WORDS for place in range(12)]) for start in range(48)]
    probe = Probe()
    given = {"max_steps": 16, "per_device_train_batch_size": 4, "learning_rate": 0.01, "warmup_steps": 3, "disable_tqdm": True} | options
    arguments = TrainingArguments(str(root), use_cpu=True, report_to="none", save_strategy="no", **given)
    data = [{"input_ids": line, "labels": line} for line in words]
    Trainer(tiny, arguments, train_dataset=data, callbacks=[callback, probe]).train()
    return probe


def test_a_nan_loss_is_undone_byte_for_byte(tmp_path: Path) -> None:
    events: list[Event] = []
    probe = fit(model(spoil=(9,)), tmp_path, GovernorCallback(CONFIG, chance_loss=CHANCE, emit=events.append))
    rolled_back = [event for event in events if isinstance(event, RolledBack)]
    assert [(event.at.step, event.snapshot_step) for event in rolled_back] == [(10, 4)]
    assert probe.weights[9] == probe.weights[3]
    assert probe.rates[9] == probe.rates[3]
    assert probe.weights[8] != probe.weights[3]
    assert len(probe.weights) == 16


@pytest.mark.parametrize("batches", [1, 2])
def test_the_loss_that_is_judged_is_the_mean_of_the_accumulated_ones(tmp_path: Path, batches: int) -> None:
    events: list[Event] = []
    tiny = model(spoil=(11 * batches - 1,))
    # At a rate of zero every loss is near chance, so one that was summed or halved by mistake stands out.
    options = {"gradient_accumulation_steps": batches, "learning_rate": 0.0}
    fit(tiny, tmp_path, GovernorCallback(CONFIG, chance_loss=CHANCE, emit=events.append), **options)
    assert [event.at.step for event in events if isinstance(event, Collapsed)] == [11]
    assert [event.at.step for event in events if isinstance(event, SnapshotTaken)][:3] == [0, 4, 8]
    recent = next(event for event in events if isinstance(event, RolledBack)).decision.recent[:-1]
    assert len(recent) == 10
    assert recent == pytest.approx([CHANCE] * 10, rel=0.15)


def test_the_trainer_stops_when_the_budget_is_spent(tmp_path: Path) -> None:
    tiny = model(spoil=tuple(range(6, 100)))
    callback = GovernorCallback(CONFIG, chance_loss=CHANCE)
    probe = fit(tiny, tmp_path, callback)
    assert len(probe.weights) == 10
    assert "4 rollbacks" in str(callback.stopped)
    assert all(torch.isfinite(parameter).all() for parameter in tiny.parameters())


def test_a_model_that_names_no_loss_is_refused(tmp_path: Path) -> None:
    class Silent(torch.nn.Module):
        """Returns a loss, but no name leads to it."""

        def __init__(self) -> None:
            super().__init__()
            self.word = torch.nn.Parameter(torch.ones(1))

        def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.word.sum(),)

    with pytest.raises(ConfigError, match="no loss in its output"):
        fit(Silent(), tmp_path, GovernorCallback(CONFIG, chance_loss=CHANCE), max_steps=2)


def test_a_finished_training_leaves_no_hook(tmp_path: Path) -> None:
    tiny = model()
    fit(tiny, tmp_path, GovernorCallback(CONFIG, chance_loss=CHANCE), max_steps=2)
    assert len(tiny._forward_hooks) == 0
