"""The table of tasks."""

from collections.abc import Callable

from tolaria.tasks.digits import digits
from tolaria.tasks.digits_impaired import digits_impaired
from tolaria.tasks.spirals import spirals
from tolaria.tasks.task import Task

TASKS: dict[str, Callable[[], Task]] = {
    "digits": digits,
    "digits_impaired": digits_impaired,
    "spirals": spirals,
}
