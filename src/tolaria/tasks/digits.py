"""Handwritten digits: scikit-learn's bundled 1797 images of 8x8 pixels. Real input without a download."""

from functools import cache

import torch
from sklearn.datasets import load_digits

from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.tasks.task import Split, Task, split_stratified

SPLIT_SEED = 0
# Pixels are whole numbers up to this one.
PIXEL_MAX = 16.0


def digits() -> Task:
    """The default task: a convolutional host that reaches 97 percent."""
    train, validation, test = splits()
    return Task(
        name="digits",
        family="conv",
        classes=10,
        train=train,
        validation=validation,
        test=test,
        batch_size=32,
        learning_rate=0.02,
        build_host=_build_host,
    )


@cache
def splits() -> tuple[Split, Split, Split]:
    """Images [N, 1, 8, 8] in [0, 1], read once."""
    images, targets = load_digits(return_X_y=True)
    inputs = torch.from_numpy(images).to(torch.float32).div(PIXEL_MAX).reshape(-1, 1, 8, 8)
    return split_stratified(inputs, torch.from_numpy(targets).to(torch.int64), SPLIT_SEED)


def _build_host(seed: int) -> Host:
    return CnnHost(in_channels=1, width=16, depth=2, classes=10, seed=seed)
