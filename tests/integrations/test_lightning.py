"""The callback in a real Trainer of Lightning."""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.integrations.lightning import GovernorCallback
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import Collapsed, RolledBack, SnapshotTaken

CONFIG = GovernorConfig(snapshot_every=4, probation=2, optimizer="restore")
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What Lightning has to say of few workers is not our affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Classifier(pl.LightningModule):
    """Learns a plane. `spoil` are the batches whose loss is NaN."""

    def __init__(self, spoil: tuple[int, ...] = ()) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        self.spoil = spoil
        self.seen = 0
        self.losses: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        inputs, targets = batch
        loss = F.cross_entropy(self.net(inputs), targets)
        factor = math.nan if self.seen in self.spoil else 1.0
        self.seen += 1
        self.losses.append(loss.item())
        return loss * factor

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 6), "interval": "step"}]


class Probe(pl.Callback):
    """Keeps the weights and the rate as they were after each batch, once the governor has been."""

    def __init__(self) -> None:
        self.weights: list[bytes] = []
        self.rates: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *rest: Any) -> None:
        self.weights.append(b"".join(tensor.numpy().tobytes() for tensor in pl_module.state_dict().values()))
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def fit(module: Classifier, root: Path, callback: GovernorCallback, **options: Any) -> Probe:
    inputs = torch.randn(320, 4, generator=torch.Generator().manual_seed(1))
    data = DataLoader(TensorDataset(inputs, (inputs[:, 0] > 0).long()), batch_size=16)
    probe = Probe()
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, callbacks=[callback, probe], default_root_dir=root, **QUIET, **options)
    trainer.fit(module, data)
    return probe


def test_a_nan_loss_is_undone_byte_for_byte(tmp_path: Path) -> None:
    events: list[Event] = []
    module = Classifier(spoil=(9,))
    probe = fit(module, tmp_path, GovernorCallback(CONFIG, chance_loss=math.log(2), emit=events.append))
    rolled_back = [event for event in events if isinstance(event, RolledBack)]
    assert [(event.at.step, event.snapshot_step) for event in rolled_back] == [(10, 4)]
    assert probe.weights[9] == probe.weights[3]
    assert probe.weights[8] != probe.weights[3]
    # The schedule has cut the rate at step 6; the snapshot is of step 4, and the schedule goes on from there.
    assert probe.rates[3:12] == pytest.approx([0.01, 0.01, 0.001, 0.001, 0.001, 0.001, 0.01, 0.01, 0.001])
    assert math.isfinite(module.losses[-1])
    assert len(probe.weights) == 20


def test_accumulated_batches_are_one_step(tmp_path: Path) -> None:
    events: list[Event] = []
    callback = GovernorCallback(CONFIG, chance_loss=math.log(2), emit=events.append)
    fit(Classifier(spoil=(17,)), tmp_path, callback, accumulate_grad_batches=2)
    assert [event.at.step for event in events if isinstance(event, SnapshotTaken)] == [0, 4, 8, 10]
    assert [event.at.step for event in events if isinstance(event, Collapsed)] == [9]
    assert callback.answer is not None
    assert (callback.answer.outcome, callback.answer.step) == ("healthy", 10)


def test_the_loss_that_is_judged_is_the_mean_of_the_accumulated_ones(tmp_path: Path) -> None:
    events: list[Event] = []
    module = Classifier(spoil=(19,))
    fit(module, tmp_path, GovernorCallback(CONFIG, chance_loss=math.log(2), emit=events.append), accumulate_grad_batches=2)
    decision = next(event for event in events if isinstance(event, RolledBack)).decision
    means = [(one + other) / 2 for one, other in zip(module.losses[:18:2], module.losses[1:18:2], strict=True)]
    assert decision.recent[:-1] == pytest.approx(means)


def test_the_trainer_stops_when_the_budget_is_spent(tmp_path: Path) -> None:
    callback = GovernorCallback(CONFIG, chance_loss=math.log(2))
    module = Classifier(spoil=tuple(range(6, 100)))
    probe = fit(module, tmp_path, callback)
    assert len(probe.weights) == 10
    assert "4 rollbacks" in str(callback.stopped)
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())


def test_an_outcome_without_a_loss_is_refused(tmp_path: Path) -> None:
    class Silent(Classifier):
        """Optimizes by hand and returns something else."""

        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return {"accuracy": torch.tensor(1.0)}

    with pytest.raises(ConfigError, match="a loss"):
        fit(Silent(), tmp_path, GovernorCallback(CONFIG, chance_loss=math.log(2)))


def test_a_finished_training_leaves_no_hook(tmp_path: Path) -> None:
    module = Classifier()
    fit(module, tmp_path, GovernorCallback(CONFIG, chance_loss=math.log(2)))
    assert len(module._forward_hooks) == 0
