from types import SimpleNamespace
from typing import cast

import pytest

from firedrill.faults.fault import CouldNotStrike, Scene
from firedrill.faults.lifecycle_fossilize import LifecycleFossilize
from firedrill.faults.target import Target
from tolaria.lifecycle.seed import SlotState
from tolaria.lifecycle.stage import Stage
from tolaria.seams import Trainee
from tolaria.seeding import stream
from tolaria.telemetry.event import Point


class OneSlot:
    """A trainee with one slot and no weights."""

    def __init__(self, stage: Stage) -> None:
        self.state = SlotState("s0", stage=stage)
        self.host = SimpleNamespace(slot_states=lambda: {"s0": self.state})
        self.told: tuple[str, str] = ("", "")

    def fossilize(self, slot: str, at: Point, reason: str, initiator: str) -> None:
        self.state = self.state.fossilized()
        self.told = (reason, initiator)


def strike(trainee: OneSlot, slot: str) -> None:
    LifecycleFossilize().strike(cast("Trainee", trainee), Scene(Point(1, 0), stream(1), Target(slot=slot), lambda _strike: None))


def test_a_held_seed_is_committed_in_the_name_of_the_fault() -> None:
    trainee = OneSlot(Stage.HOLDING)
    strike(trainee, "s0")
    assert trainee.state.stage is Stage.FOSSILIZED
    assert trainee.told == ("committed by a fault", "fault")


def test_an_impossible_move_is_no_strike() -> None:
    with pytest.raises(CouldNotStrike, match="no move FOSSILIZE from stage TRAINING"):
        strike(OneSlot(Stage.TRAINING), "s0")


def test_an_unknown_slot_is_no_strike() -> None:
    with pytest.raises(CouldNotStrike, match="no slot 's7'"):
        strike(OneSlot(Stage.HOLDING), "s7")
