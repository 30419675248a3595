import json

import pytest

from tolaria.envelope.measure import Cell, FalseAlarms
from tolaria.envelope.report import Envelope, told

CELLS = [
    Cell("not finite", float("nan"), "loss", "good", 8, 8, 0.0, 0, "non_finite"),
    Cell("drift", 1.02, "x a step", "good", 0, 8, None, None, ""),
]
NONE = FalseAlarms(2, 1000, 0, 1, ())


@pytest.fixture
def envelope() -> Envelope:
    alarms = {"default": NONE, "classic": NONE}
    return Envelope("default", {"default": CELLS, "classic": CELLS}, alarms, alarms, [], [("drift", "1.02", "good")])


def test_the_text_holds_every_cell_and_the_bound(envelope: Envelope) -> None:
    text = "\n".join(told(envelope))
    assert "default: 1 of 2 cells caught in every trial" in text
    assert "0 false alarms in 1000 healthy steps of 2 streams (none), 95 % bound 0.003 a step" in text
    assert "0 non_finite" in text


def test_the_json_is_json_although_a_magnitude_is_nan(envelope: Envelope) -> None:
    read = json.loads(envelope.to_json())
    assert [cell["magnitude"] for cell in read["cells"]["default"]] == ["nan", 1.02]
    assert read["false_alarms"]["recorded"]["default"]["bound_95"] == pytest.approx(0.0029957, abs=1e-7)
