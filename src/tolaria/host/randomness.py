"""Initialisation with its own random numbers: PyTorch's layers only know the global generator, so it is lent and given back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# There is one such generator in a process, so it is lent to one thread at a time; who has it may ask for it again.
_LENT = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, the global CPU generator starts from the seed; afterwards it stands where it stood. Build on the CPU, move later.

    Other threads that ask for it wait. One that draws without asking disturbs, and is disturbed.
    """
    with _LENT, torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would reseed the generators of every accelerator too, and nobody would put them back.
        torch.default_generator.manual_seed(seed)
        yield
