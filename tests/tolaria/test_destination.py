from pathlib import Path

import pytest

from tolaria.destination import check_destinations
from tolaria.errors import ConfigError


def test_files_in_a_folder_that_exists_are_accepted_and_not_made(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    check_destinations(tmp_path / "old.json", tmp_path / "new.png")
    check_destinations(None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


@pytest.mark.parametrize(
    ("json", "picture", "said"),
    [
        ("nowhere/run.json", None, "json: found '.*nowhere/run.json', expected a file in a folder that exists"),
        (None, "nowhere/run.png", "picture: found '.*nowhere/run.png', expected a file in a folder that exists"),
        ("file/run.json", None, "json: found '.*file/run.json'"),
        ("", None, "expected a file in a folder that exists"),
        (None, "run.svg", r"expected a name that ends in \.png"),
    ],
)
def test_a_file_that_could_not_be_written_is_refused(json: str | None, picture: str | None, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=said):
        check_destinations(None if json is None else tmp_path / json, None if picture is None else tmp_path / picture)
