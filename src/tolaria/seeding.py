"""Named random streams: every use of randomness derives its own seed from the run's seed and its own name.

Nothing draws from a global generator, so that removing one environment, seed module or fault shifts nothing else.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed that depends on the run's seed and on every name, and on nothing else."""
    text = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator (PCG64) of its own for the given name."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *names)))
