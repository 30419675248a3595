import pytest

from firedrill.runner.schema_version import SchemaVersion

OURS = SchemaVersion("firedrill.run", 2, 3)


@pytest.mark.parametrize("found", ["firedrill.run/2", "firedrill.run/2.0", "firedrill.run/2.2", "firedrill.run/2.3"])
def test_every_minor_version_up_to_ours_is_read(found: str) -> None:
    assert OURS.refusal(found) == ""


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ("firedrill.run/2.4", "a newer firedrill wrote it"),
        ("firedrill.run/3.0", "a newer firedrill wrote it"),
        ("firedrill.run/1.9", "no longer read"),
        ("firedrill.bench/2.3", "expected 'firedrill.run/2.3'"),
        ("firedrill.run/2.x", "expected 'firedrill.run/2.3'"),
        (2, "expected 'firedrill.run/2.3'"),
        (None, "expected 'firedrill.run/2.3'"),
    ],
)
def test_anything_else_is_refused_with_a_reason(found: object, why: str) -> None:
    assert why in OURS.refusal(found)
