from pathlib import Path

import pytest

from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.record import read_comparison, write_comparison
from firedrill.runner.result import ForeignResults


def test_a_comparison_is_read_back_as_it_was(tmp_path: Path) -> None:
    found = [Compared("a", "verdict", MetricClass.EXACT, Change.NOT_RUN, "recovered", "–", "why")]
    write_comparison(tmp_path / "made" / "changes.json", found)
    assert read_comparison(tmp_path / "made" / "changes.json") == found


@pytest.mark.parametrize("text", ["torn{", "[]", '{"schema": "firedrill.comparison/2.0"}', '{"schema": "firedrill.comparison/1.0"}'])
def test_a_file_that_is_no_comparison_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "changes.json").write_text(text)
    with pytest.raises(ForeignResults, match=r"changes\.json: "):
        read_comparison(tmp_path / "changes.json")
