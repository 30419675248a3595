from pathlib import Path

import pytest

from tolaria.errors import ConfigError
from tolaria.tasks.choice import check_choice, chosen


def test_a_task_is_had_by_its_name() -> None:
    assert chosen("spirals", None).name == "spirals"


@pytest.mark.parametrize(
    ("task", "data", "told"),
    [
        ("chess", None, "one of digits, .*, cifar10"),
        ("cifar10", None, "the folder that cifar10 is read from"),
        ("spirals", "here", "no folder, because spirals brings its data"),
    ],
)
def test_what_is_not_there_is_refused(task: str, data: str | None, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_choice(task, data)


def test_a_folder_without_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data"):
        chosen("cifar10", str(tmp_path))
