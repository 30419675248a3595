"""What a fork server does once, so that no cell has to: loading, and what a process keeps after its first time.

The first optimizer of a process loads torch._dynamo, which takes longer than a small cell's runs.
"""

import gc

import torch
import torch._dynamo

import firedrill.runner.cell
from tolaria.train.config import TrainConfig, dump
from tolaria.train.trainer import commit, versions

commit()
versions()
