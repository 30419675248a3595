"""Importing this module tells gymnasium of our environments: `gymnasium.make("tolaria/TMaze-v0")` finds them afterwards.

So does `gymnasium.make("tolaria.environments.registered:tolaria/TMaze-v0")`, which imports it.
"""

import gymnasium

from tolaria.environments import ENVIRONMENTS

NAMES = tuple(ENVIRONMENTS)

for name, make in ENVIRONMENTS.items():
    gymnasium.register(name, entry_point=make)
