"""A comparison as a file, so that a report made elsewhere can show it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firedrill.bench.paired import Timed
from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.runner.aside import write_aside
from firedrill.runner.machine import machine_class
from firedrill.runner.result import ForeignResults
from firedrill.runner.schema_version import SchemaVersion

SCHEMA = SchemaVersion("firedrill.comparison", 1, 1)


def write_comparison(path: Path, found: Sequence[Compared], timed: Sequence[Timed] = ()) -> None:
    """Write a comparison aside and put it in place, with every time that it rests on."""
    document = {
        "schema": str(SCHEMA),
        "machine_class": machine_class(),
        "compared": [asdict(compared) for compared in found],
        "timed": [asdict(one) for one in timed],
    }
    text = json.dumps(document, allow_nan=False, indent=1)
    write_aside(path, text + "\n")


def comparison_of(document: dict[str, Any], path: Path) -> list[Compared]:  # JSON has no types.
    """The comparison of a file that has been parsed; raises `ForeignResults` for what `write_comparison` did not write."""
    if refusal := SCHEMA.refusal(document.get("schema")):
        raise ForeignResults(f"{path}: {refusal}")
    try:
        return [Compared(**kept | {"kind": MetricClass(kept["kind"]), "change": Change(kept["change"])}) for kept in document["compared"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ForeignResults(f"{path}: damaged, or changed by hand: {type(error).__name__}: {error}") from error
