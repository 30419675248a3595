"""PyTorch Lightning with one callback more. Needs `pip install tolaria[lightning]`. After step 60 a NaN strikes a weight."""

import math
from typing import Any

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tolaria.integrations.lightning import GovernorCallback
from tolaria.telemetry.event import Event
from tolaria.telemetry.governor_events import RolledBack


class Digits(pl.LightningModule):
    """Two layers for handwritten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """The loss of a batch."""
        if self.global_step == 60:
            with torch.no_grad():
                self.net[0].weight[0, 0] = math.nan
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, without a schedule."""
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def tell(event: Event) -> None:
    """Print what was rolled back."""
    if isinstance(event, RolledBack):
        print(f"step {event.at.step}: {event.decision.cause}, rolled back to the snapshot of step {event.snapshot_step}")


pl.seed_everything(0, verbose=False)
digits = load_digits()
inputs, targets = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
train = DataLoader(TensorDataset(inputs[:1400], targets[:1400]), batch_size=64, shuffle=True)

module = Digits()
governor = GovernorCallback(chance_loss=math.log(10), emit=tell)
trainer = pl.Trainer(
    accelerator="cpu",
    max_epochs=8,
    callbacks=[governor],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(module, train)
accuracy = (module.net(inputs[1400:]).argmax(dim=1) == targets[1400:]).float().mean()
print(f"accuracy on digits it has not seen: {accuracy:.1%}")
