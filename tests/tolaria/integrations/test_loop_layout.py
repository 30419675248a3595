"""A snapshot of another loop is refused, with what was found and what is expected."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import SGD, Optimizer
from torch.optim import lr_scheduler as schedules

from tolaria.governor.rollback import LayoutMismatch
from tolaria.integrations.loop_layout import check_made_alike, layout_of

GROUPS = [["model/a", "model/b"], ["model/c"]]


def layout(
    optimizers: tuple[tuple[str, list[list[str]]], ...] = (("SGD", GROUPS),),
    schedulers: tuple[str, ...] = (),
    scaler: torch.amp.GradScaler | None = None,
    extra: tuple[str, ...] = (),
) -> dict[str, Any]:
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    return layout_of(optimizers, [MADE[name](optimizer) for name in schedulers], scaler, extra)


MADE: dict[str, Callable[[Optimizer], schedules.LRScheduler]] = {
    "step": lambda optimizer: schedules.StepLR(optimizer, 3),
    "cosine": lambda optimizer: schedules.CosineAnnealingLR(optimizer, 3),
    "both": lambda optimizer: schedules.SequentialLR(
        optimizer, [schedules.StepLR(optimizer, 3), schedules.CosineAnnealingLR(optimizer, 3)], milestones=[2]
    ),
    "one": lambda optimizer: schedules.SequentialLR(optimizer, [schedules.StepLR(optimizer, 3)], milestones=[]),
}
ON = torch.amp.GradScaler("cpu")
OFF = torch.amp.GradScaler("cpu", enabled=False)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"optimizers": (("SGD", [["model/b", "model/a"], ["model/c", "model/d"]]),)},
        {"optimizers": (("SGD", [*GROUPS, ["model/d"]]),)},
        {"optimizers": (("SGD", [["model/b"], []]),)},
    ],
)
def test_the_same_loop_and_one_that_has_grown_are_taken(changed: dict[str, Any]) -> None:
    check_made_alike(layout(), layout(**changed))


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ({}, {"optimizers": (("Adam", GROUPS),)}, r"optimizers: found \['SGD'\], expected \['Adam'\]"),
        ({}, {"optimizers": (("SGD", GROUPS), ("SGD", []))}, r"optimizers: found \['SGD'\], expected \['SGD', 'SGD'\]"),
        ({}, {"optimizers": (("SGD", GROUPS[:1]),)}, "2 parameter groups were recorded, 1 are left"),
        (
            {},
            {"optimizers": (("SGD", GROUPS[::-1]),)},
            r"optimizer 0, group 0: found \['model/a', 'model/b'\], expected only \['model/c'\]",
        ),
        ({"schedulers": ("step",)}, {}, r"schedulers: found \[\['StepLR'\]\], expected \[\]"),
        ({"schedulers": ("step",)}, {"schedulers": ("cosine",)}, r"schedulers: found .*StepLR.*, expected .*CosineAnnealingLR"),
        ({"schedulers": ("both",)}, {"schedulers": ("one",)}, r"schedulers: found .*CosineAnnealingLR.*, expected .*'StepLR'\]\]"),
        ({}, {"scaler": ON}, "scaler: found None, expected enabled"),
        ({"scaler": ON}, {}, "scaler: found enabled, expected None"),
        ({"scaler": OFF}, {"scaler": ON}, "scaler: found disabled, expected enabled"),
        ({"extra": ("a",)}, {"extra": ("b",)}, r"modules with extra state: found \['a'\], expected \['b'\]"),
    ],
)
def test_another_loop_is_refused(was: dict[str, Any], now: dict[str, Any], said: str) -> None:
    with pytest.raises(LayoutMismatch, match=said):
        check_made_alike(layout(**was), layout(**now))


def test_a_scaler_that_is_off_takes_the_place_of_one_that_is_on() -> None:
    check_made_alike(layout(scaler=ON), layout(scaler=OFF))
