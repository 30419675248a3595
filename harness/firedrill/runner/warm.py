"""What a fork server does once, so that no cell has to.

The first optimizer of a process loads torch._dynamo, which takes longer than a small cell's runs; the commit is asked of git. What
is loaded then stays where it is: a child that collects garbage would otherwise touch, and so copy, every page of it.
"""

import gc

import torch._dynamo

import firedrill.runner.cell
from tolaria.train.trainer import commit, versions

LOADED = (torch._dynamo, firedrill.runner.cell)

commit()
versions()
gc.collect()
gc.freeze()
