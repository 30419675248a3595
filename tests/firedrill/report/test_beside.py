import json
from pathlib import Path

import pytest

from firedrill.bench import figures, ratios, record
from firedrill.bench.figures import KEPT, DeviceRecord, Figure
from firedrill.bench.ratios import Measured
from firedrill.bench.record import Case, Record
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.compare.record import write_comparison
from firedrill.report.beside import NOTHING, read_beside, schema_of
from firedrill.runner.result import ForeignResults

CASE = Case("take", 100_000, 30, "hot", 1.5, {}, 2.0, 3.0, 3.0, 8.0, 3.0, 3, False, (2.0, 3.0, 8.0))
RATIO = Measured("copy / rollback", 0.2, 0.1, 0.3, None, at_most=True, clock="wall", contended=False, seconds={"above": (1.0,)})
CHANGE = Compared("a", "verdict", MetricClass.EXACT, Change.UNCHANGED, "recovered", "recovered")


def test_each_file_is_known_by_what_it_says(tmp_path: Path) -> None:
    write_comparison(tmp_path / "1.json", [CHANGE])
    write_comparison(tmp_path / "2.json", [CHANGE, CHANGE])
    record.write_json(tmp_path / "3.json", Record({}, {}, (CASE,)))
    (tmp_path / "4.json").write_text(json.dumps({"schema": "firedrill.coverage/1", "cells": [], "marks": {}}))
    (tmp_path / "5.json").write_text(json.dumps({"suite": "default", "cells": {"default": []}, "false_alarms": {}}))
    figures.write_json(tmp_path / "6.json", DeviceRecord({"device": "an imagined one"}, {}, (Figure(KEPT, 100_000, 20.0, "µs"),)))
    ratios.write_json(tmp_path / "7.json", {"cores": "2"}, {"torch": "2.13"}, [RATIO])
    found = read_beside(tmp_path / f"{number}.json" for number in range(1, 8))
    assert found.changes == (CHANGE,) * 3
    assert found.cases == (CASE,)
    assert [shown.title.partition(" ")[0] for shown in found.maps] == ["Coverage:", "Envelope", "On"]
    assert found.ratios == (RATIO,)
    assert dict(found.facts)["7.json was measured on"] == "cores 2"
    assert dict(found.facts)["7.json was measured with"] == "torch 2.13"


def test_nothing_beside_is_nothing_compared() -> None:
    assert read_beside([]) == NOTHING
    assert NOTHING.changes is None


def test_a_benchmark_of_the_minor_version_before_has_no_samples(tmp_path: Path) -> None:
    record.write_json(tmp_path / "bench.json", Record({}, {}, (CASE,)))
    document = json.loads((tmp_path / "bench.json").read_text())
    del document["cases"][0]["seconds"]
    (tmp_path / "bench.json").write_text(json.dumps(document | {"schema": "firedrill.bench/1"}))
    assert read_beside([tmp_path / "bench.json"]).cases[0].seconds == ()


@pytest.mark.parametrize(
    "text",
    [
        "torn{",
        '{"schema": "somebody.else/1"}',
        "[]",
        "{}",
        '{"schema": "firedrill.run/1.1"}',
        '{"schema": "firedrill.bench/9.0"}',
        '{"schema": "firedrill.bench/1.1"}',
        '{"schema": "firedrill.comparison/9.0"}',
        '{"schema": "firedrill.coverage/1"}',
        '{"schema": "firedrill.ratios/9.0"}',
        '{"schema": "firedrill.ratios/1.1", "ratios": []}',
        '{"suite": "default", "cells": [], "false_alarms": {}}',
    ],
)
def test_any_other_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ForeignResults, match=r"other\.json: "):
        read_beside([tmp_path / "other.json"])


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"schema": "firedrill.run/1.1"}')
    (tmp_path / "two.json").write_text("{}")
    assert [schema_of(tmp_path / name) for name in ("one.json", "two.json")] == ["firedrill.run", ""]


def test_what_is_not_known_is_told_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"schema": "somebody.else/1"}')
    with pytest.raises(ForeignResults) as refused:
        read_beside([tmp_path / "other.json"])
    assert str(refused.value).endswith(
        "other.json: its schema is 'somebody.else/1'; a report shows what firedrill run (the first of all files), compare, bench and "
        "coverage and tolaria envelope write with --json"
    )
