"""Digits for a host that cannot learn them alone: what it lacks, seeds must bring."""

from dataclasses import replace

from tolaria.host.cnn_host import CnnHost
from tolaria.host.host import Host
from tolaria.tasks.digits import digits
from tolaria.tasks.task import Task


def digits_impaired() -> Task:
    """The digits task with a host that never sees two pixels together, so that growing pays."""
    return replace(digits(), name="digits_impaired", build_host=_build_host)


def _build_host(seed: int) -> Host:
    return CnnHost(in_channels=1, width=8, depth=2, classes=10, seed=seed, kernel_size=1)
