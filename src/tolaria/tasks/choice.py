"""A task by its name, with the folder that some are read from."""

from pathlib import Path

from tolaria.errors import ConfigError
from tolaria.tasks import FOLDER_TASKS, TASKS
from tolaria.tasks.task import Task


def check_choice(task: str, data: str | None) -> None:
    """Raise `ConfigError` unless there is such a task, and a folder is given for it where it is read from one."""
    if task not in TASKS | FOLDER_TASKS:
        raise ConfigError("task", task, f"one of {', '.join(TASKS | FOLDER_TASKS)}")
    if task in FOLDER_TASKS and data is None:
        raise ConfigError("data", data, f"the folder that {task} is read from")
    if task not in FOLDER_TASKS and data is not None:
        raise ConfigError("data", data, f"no folder, because {task} brings its data")


def chosen(task: str, data: str | None) -> Task:
    """A task by its name; raises `ConfigError` where there is none, or its data is not there."""
    check_choice(task, data)
    return TASKS[task]() if data is None else FOLDER_TASKS[task](Path(data))
