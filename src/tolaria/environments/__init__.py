"""The environments of this project, by the name that gymnasium gives them once `registered.py` is imported."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium

from tolaria.environments.growth import make_growth
from tolaria.environments.masked_counting import MaskedCounting
from tolaria.environments.repeat_previous import RepeatPrevious
from tolaria.environments.t_maze import TMaze

ENVIRONMENTS: Mapping[str, Callable[..., gymnasium.Env[Any, Any]]] = {
    "tolaria/Growth-v0": make_growth,
    "tolaria/MaskedCounting-v0": MaskedCounting,
    "tolaria/RepeatPrevious-v0": RepeatPrevious,
    "tolaria/TMaze-v0": TMaze,
}
