import json
from pathlib import Path

import pytest

from firedrill.bench.paired import Timed
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.record import comparison_of, write_comparison
from firedrill.runner.result import ForeignResults


def test_a_comparison_is_read_back_as_it_was_with_the_times_beside_it(tmp_path: Path) -> None:
    found = [Compared("a", "verdict", MetricClass.EXACT, Change.NOT_RUN, "recovered", "–", "why")]
    path = tmp_path / "made" / "changes.json"
    write_comparison(path, found, [Timed("take, 1M", ((1.0, 2.0),), ((3.0, 4.0),))])
    document = json.loads(path.read_text())
    assert comparison_of(document, path) == found
    assert document["timed"] == [{"subject": "take, 1M", "base": [[1.0, 2.0]], "head": [[3.0, 4.0]], "clock": "CPU time"}]


@pytest.mark.parametrize("document", [{}, {"schema": "firedrill.comparison/2.0"}, {"schema": "firedrill.comparison/1.0"}])
def test_what_is_no_comparison_is_refused(document: dict[str, str]) -> None:
    with pytest.raises(ForeignResults, match=r"changes\.json: "):
        comparison_of(document, Path("changes.json"))
