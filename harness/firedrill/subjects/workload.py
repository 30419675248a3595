"""What the loops of this folder train: a small network with batch normalisation on real data, the same for every one of them."""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional as F

from tolaria.seeding import derive_seed, stream
from tolaria.tasks.digits import splits as digits_splits
from tolaria.tasks.spirals import splits as spirals_splits
from tolaria.tasks.task import Split

Splits = Callable[[], tuple[Split, Split, Split]]

# Data, classes, and the learning rates of SGD and of Adam at which a host of this size learns them in about a hundred steps.
DATA: dict[str, Splits] = {"digits": digits_splits, "spirals": spirals_splits}
CLASSES = {"digits": 10, "spirals": 3}
RATES = {"sgd": 0.05, "adam": 3e-3, "adamw": 3e-3}
BATCH = 32
WIDTH = 48


class Workload:
    """Model, optimizer and data of one run; every loop that is given the same seed sees the same ones."""

    def __init__(self, task: str, optimizer: str, seed: int, device: str, fused: bool = False) -> None:
        self.train, self.validation, _ = (Split(part.inputs.flatten(1), part.targets) for part in DATA[task]())
        self.device = device
        self.chance_loss = math.log(CLASSES[task])
        self.scaler: torch.amp.GradScaler | None = None
        self.model = network(self.train.inputs.shape[1], CLASSES[task], seed).to(device)
        self.optimizer = optimizer_of(optimizer, self.model, fused)
        self._rng = stream(seed, "batches")

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next inputs [B, D] and targets [B]."""
        rows = torch.from_numpy(self._rng.integers(len(self.train.targets), size=BATCH))
        return self.train.inputs[rows].to(self.device), self.train.targets[rows].to(self.device)

    def batches(self, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """So many batches, for a framework that asks for its data."""
        return (self.batch() for _ in range(steps))

    def validate(self) -> tuple[float, float]:
        """Loss and accuracy on the validation split."""
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            logits = self.model(self.validation.inputs.to(self.device))
            targets = self.validation.targets.to(self.device)
            loss, accuracy = F.cross_entropy(logits, targets), (logits.argmax(dim=1) == targets).float().mean()
        self.model.train(was_training)
        return float(loss), float(accuracy)


def network(inputs: int, classes: int, seed: int) -> torch.nn.Module:
    """Two blocks and a head, initialised by the seed and by nothing else."""

    def block(width: int) -> torch.nn.Module:
        linear, norm = torch.nn.Linear(width, WIDTH), torch.nn.BatchNorm1d(WIDTH)
        return torch.nn.Sequential(OrderedDict(linear=linear, norm=norm, relu=torch.nn.ReLU()))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "network"))
        blocks = torch.nn.Sequential(block(inputs), block(WIDTH))
        return torch.nn.Sequential(OrderedDict(blocks=blocks, head=torch.nn.Linear(WIDTH, classes)))


def optimizer_of(name: str, model: torch.nn.Module, fused: bool) -> torch.optim.Optimizer:
    """SGD with momentum, Adam or AdamW over all parameters."""
    rate = RATES[name]
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, fused=fused)
    kind = torch.optim.Adam if name == "adam" else torch.optim.AdamW
    return kind(model.parameters(), lr=rate, fused=fused)
