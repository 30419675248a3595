"""The benchmark as a file: every run with its numbers, and what the table says of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from tolaria.bench.grow.arms import PATIENCE, Grown
from tolaria.bench.grow.sheet import DEAR, Sheet

# Of a long curve so many points are kept, beside the two that the table reads.
POINTS = 60


def to_json(sheets: Sequence[Sheet], complete: bool, commit: str) -> str:
    """One object; keys in order, so that two files can be compared."""
    tasks = {sheet.plan.task: _sheet(sheet) for sheet in sheets}
    return json.dumps({"commit": commit, "complete": complete, "tasks": tasks}, indent=1, sort_keys=True) + "\n"


def _sheet(sheet: Sheet) -> dict[str, object]:
    found: dict[str, object] = {"plan": asdict(sheet.plan), "lessons": [asdict(lesson) for lesson in sheet.lessons]}
    found["runs"] = [_run(run) for run in sheet.runs]
    if not sheet.seeds:
        return found
    found["regime"] = {"difference": asdict(sheet.regime), "open": sheet.in_regime, "patience": PATIENCE}
    found["returns"] = {"by_return": sheet.by_return(), "dear": sheet.by_return(DEAR), "misordered": sheet.misordered}
    found["differences"] = [
        {"arm": arm, "against": against, **asdict(difference), "verdict": difference.verdict}
        for arm, against, difference in sheet.differences()
    ]
    return found


def _run(run: Grown) -> dict[str, object]:
    stride = max(1, len(run.curve) // POINTS)
    return asdict(run) | {"curve": [list(point) for point in run.curve[::stride]]}
