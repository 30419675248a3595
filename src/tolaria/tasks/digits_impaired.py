"""Digits for a host that cannot learn them alone: what it lacks, seeds must bring."""

from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.tasks.digits import splits
from tolaria.tasks.task import Task


def digits_impaired() -> Task:
    """The digits task with a host that never sees two pixels together, so that growing pays."""
    train, validation, test = splits()
    return Task(
        name="digits_impaired",
        family="conv",
        classes=10,
        train=train,
        validation=validation,
        test=test,
        batch_size=32,
        learning_rate=0.02,
        build_host=_build_host,
    )


def _build_host(seed: int) -> Host:
    return CnnHost(in_channels=1, width=8, depth=2, classes=10, seed=seed, kernel_size=1)
