from typing import Any

from firedrill.report.maps import Field, coverage_map, envelope_map
from firedrill.report.wording import Tone


def covered(state: str, detectors: str, topology: str = "bare", device: str = "cpu") -> dict[str, str]:
    return {
        "fault": "tensor.set",
        "phase": "loss_ready",
        "device": device,
        "topology": topology,
        "detectors": detectors,
        "state": state,
        "why": "here[cpu]",
    }


def noticed(count: int, delay: float | None, magnitude: float | str = 2.0, baseline: str = "good") -> dict[str, Any]:
    kept = {"shape": "step", "magnitude": magnitude, "unit": "x L0", "baseline": baseline, "trials": 8}
    return kept | {"noticed": count, "delay": delay, "delay_max": delay, "cause": "lobotomy" if count else ""}


def test_coverage_shows_both_answers_in_one_field_and_the_worse_colour() -> None:
    cells = [covered("pass", "answered"), covered("not-run", "unnoticed"), covered("pass", "answered", "fossil", "cuda")]
    found = coverage_map({"cells": cells})
    assert found.columns == ("bare", "growing", "blended", "fossil", "resting")
    ((name, fields),) = found.rows
    assert name == "tensor.set, loss_ready"
    assert fields[0] == Field("✓ –", "answered: pass, here[cpu]; unnoticed: not-run, here[cpu]", Tone.SILENT)
    assert fields[3] == Field("", "", None)


def test_the_envelope_tells_delay_share_and_never() -> None:
    cells = [
        noticed(8, 1.0),
        noticed(8, 40.0, baseline="poor"),
        noticed(3, 4.0, 20.0),
        noticed(0, None, "nan"),
        noticed(8, 7.0, 0.99999999),
    ]
    found = envelope_map({"suite": "default", "cells": {"default": cells, "classic": []}})
    assert (found.title, found.columns) == ("Envelope of the suite default", ("good", "poor"))
    assert [(name, [(field.text, field.tone) for field in fields]) for name, fields in found.rows] == [
        ("step 2 x L0", [("1", Tone.GOOD), ("40", Tone.DOUBTFUL)]),
        ("step 20 x L0", [("3/8", Tone.DOUBTFUL), ("", None)]),
        ("step nan x L0", [("–", Tone.BAD), ("", None)]),
        ("step 0.99999999 x L0", [("7", Tone.SILENT), ("", None)]),
    ]
