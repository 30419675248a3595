import json
from pathlib import Path

import pytest

from firedrill.bench.record import Case, Record, write_json

CASE = Case("take", 100_000, 30, "hot", 2.5, {"torch.save": 30.0}, 1.0, 2.0, 2.2, 3.0, 2.5, 7, True)


def test_a_record_is_written_with_its_schema_and_all_fields(tmp_path: Path) -> None:
    path = tmp_path / "made" / "bench.json"
    write_json(path, Record({"cores": "2"}, {"torch": "2.13.0"}, (CASE,)))
    read = json.loads(path.read_text())
    assert (read["schema"], read["machine"], read["versions"]) == ("firedrill.bench/1.2", {"cores": "2"}, {"torch": "2.13.0"})
    assert read["cases"] == [
        {
            "op": "take",
            "params": 100_000,
            "tensors": 30,
            "mode": "hot",
            "ratio_to_limit": 2.5,
            "speedup_vs": {"torch.save": 30.0},
            "p10": 1.0,
            "median": 2.0,
            "mean": 2.2,
            "p99": 3.0,
            "wall_median": 2.5,
            "samples": 7,
            "contended": True,
            "seconds": [],
        }
    ]
    assert [file.name for file in path.parent.iterdir()] == ["bench.json"]


def test_a_number_that_is_none_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "bench.json", Record({"load": float("nan")}, {}, ()))  # type: ignore[dict-item]  # that it is wrong is the point
    assert list(tmp_path.iterdir()) == []
