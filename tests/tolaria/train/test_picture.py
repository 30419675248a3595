from pathlib import Path

import pytest

from tolaria.telemetry.event import Event, Point
from tolaria.telemetry.growth_events import SeedsValued
from tolaria.telemetry.run_events import RunFinished
from tolaria.train.picture import STAGE_COLOURS, draw


def size(path: Path) -> tuple[int, int]:
    """Width and height, which stand behind the signature and the name of a PNG's first chunk."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_a_run_becomes_a_png_that_grows_with_its_environments(eventful_run: list[Event], tmp_path: Path) -> None:
    draw(eventful_run, tmp_path / "two.png")
    draw([event for event in eventful_run if event.at.env != 1], tmp_path / "one.png")
    two, one = size(tmp_path / "two.png"), size(tmp_path / "one.png")
    assert two[0] == one[0] == 11 * 150
    assert two[1] > one[1]


def test_equal_histories_make_equal_pictures(eventful_run: list[Event], tmp_path: Path) -> None:
    draw(eventful_run, tmp_path / "one.png")
    draw(eventful_run, tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_what_seeds_were_worth_stands_in_their_lanes(eventful_run: list[Event], tmp_path: Path) -> None:
    draw(eventful_run, tmp_path / "without.png")
    draw([*eventful_run, SeedsValued(Point(23, 0), ("s0",), (0.25,), 0.5, 0.75, True)], tmp_path / "with.png")
    assert (tmp_path / "with.png").read_bytes() != (tmp_path / "without.png").read_bytes()


def test_a_run_without_environments_has_no_picture(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no environment to draw"):
        draw([RunFinished(Point(0), ())], tmp_path / "none.png")


def test_stages_in_which_a_seed_lives_differ_in_colour() -> None:
    colours = [colour for stage, colour in STAGE_COLOURS.items() if stage.value not in {"pruned", "embargoed", "resetting"}]
    assert len(set(colours)) == len(colours) == 5
