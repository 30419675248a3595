"""What a fork server does once, so that no cell has to.

The first optimizer of a process loads torch._dynamo, which takes longer than a small cell's runs; the commit is asked of git, and a
run is built, because the first one takes three times as long as the next. It is not trained: a backward pass asks for all devices, and
a child of a process that has done so can use none. What is loaded then stays where it is: a child that collects garbage would
otherwise touch, and so copy, every page of it.
"""

import gc

import torch._dynamo

import firedrill.runner.cell
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.trainer import Trainer, commit, versions

LOADED = (torch._dynamo, firedrill.runner.cell)

commit()
versions()
Trainer.tapped(TrainConfig(task="spirals", envs=1, device="cpu"), History(), NO_TAPS).close()
gc.collect()
gc.freeze()
