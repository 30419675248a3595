import json
from pathlib import Path

import pytest

from firedrill.bench.figures import (
    ARRIVED,
    ARRIVING,
    FASTER,
    KEPT,
    SLOWDOWN,
    WAITS,
    WORKED,
    DeviceRecord,
    Figure,
    record_of,
    write_json,
)
from firedrill.runner.result import ForeignResults

RECORD = DeviceRecord({"device": "an imagined one"}, {"torch": "2.13.0"}, (Figure(KEPT, 100_000, 20.0, "µs", (19.0, 20.0, 30.0)),))


@pytest.mark.parametrize(
    ("name", "params", "value", "holds"),
    [
        (KEPT, 100_000, 25.0, True),
        (KEPT, 100_000_000, 25.1, False),
        (WAITS, 1_000_000, 0.0, True),
        (WAITS, 1_000_000, 1.0, False),
        (FASTER, 10_000_000, 10.0, True),
        (FASTER, 10_000_000, 9.9, False),
        (FASTER, 100_000_000, 1.0, None),
        (WORKED, 10_000_000, 9.0, None),
        (WORKED, 100_000_000, 1.3, True),
        (WORKED, 100_000_000, 1.31, False),
        (ARRIVING, 100_000, 0.9, True),
        (ARRIVING, 100_000, 0.89, False),
        (SLOWDOWN.format(10), 1_000_000, 2.0, True),
        (SLOWDOWN.format(10), 1_000_000, 2.1, False),
        (SLOWDOWN.format(1), 1_000_000, 50.0, None),
        (ARRIVED, 1_000_000, 1e9, None),
    ],
)
def test_a_figure_is_held_against_its_target_where_there_is_one(name: str, params: int, value: float, holds: bool | None) -> None:
    assert Figure(name, params, value, "").holds is holds


def test_a_record_comes_back_as_it_was_written_with_its_targets_beside(tmp_path: Path) -> None:
    path = tmp_path / "device.json"
    write_json(path, RECORD)
    document = json.loads(path.read_text())
    assert (document["schema"], document["figures"][0]["target"], document["figures"][0]["holds"]) == (
        "firedrill.device/1.0",
        "at most 25",
        True,
    )
    assert record_of(document, path) == RECORD


@pytest.mark.parametrize("wrong", [{"schema": "firedrill.device/2.0"}, {"figures": [{"name": KEPT}]}, {"machine": None, "figures": None}])
def test_what_was_not_written_so_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    path = tmp_path / "device.json"
    write_json(path, RECORD)
    with pytest.raises(ForeignResults):
        record_of(json.loads(path.read_text()) | wrong, path)
