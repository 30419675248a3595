"""The tables of tasks: those that bring their data, and those that read it from a folder."""

from collections.abc import Callable
from pathlib import Path

from tolaria.tasks.cifar10 import cifar10
from tolaria.tasks.digits import digits
from tolaria.tasks.digits_impaired import digits_impaired
from tolaria.tasks.pydoc_lm import pydoc_lm
from tolaria.tasks.spirals import spirals
from tolaria.tasks.spirals_impaired import spirals_impaired
from tolaria.tasks.stdlib_lm import stdlib_lm
from tolaria.tasks.task import Task
from tolaria.tasks.wide import wide

TASKS: dict[str, Callable[[], Task]] = {
    "digits": digits,
    "digits_impaired": digits_impaired,
    "spirals": spirals,
    "spirals_impaired": spirals_impaired,
    "pydoc_lm": pydoc_lm,
    "stdlib_lm": stdlib_lm,
    "wide": wide,
}

FOLDER_TASKS: dict[str, Callable[[Path], Task]] = {
    "cifar10": cifar10,
}
