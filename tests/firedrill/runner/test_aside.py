from pathlib import Path

import pytest

from firedrill.runner.aside import write_aside


def test_a_file_is_put_into_a_folder_that_did_not_exist_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_aside(tmp_path / "made" / "a.json", "é\n")
    assert (tmp_path / "made" / "a.json").read_text(encoding="utf-8") == "é\n"
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a.json"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_aside(tmp_path / "a.json", "\ud800")
    assert (tmp_path / "a.json").read_text() == "old"
