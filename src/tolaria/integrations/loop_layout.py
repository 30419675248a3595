"""Which objects a loop is made of. A snapshot records it, so that one of another loop is refused before anything is written."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler

from tolaria.governor.rollback import LayoutMismatch
from tolaria.integrations.rates import with_inner

# A gradient scaler that is switched off has no state, so it can take the place of any; one that is on needs a state to go on from.
ENABLED, DISABLED = "enabled", "disabled"


def layout_of(
    optimizers: Iterable[tuple[str, list[list[str]]]],
    schedulers: Iterable[LRScheduler],
    scaler: torch.amp.GradScaler | None,
    extra: Iterable[str],
) -> dict[str, Any]:
    """As JSON: classes of optimizers with the parameters of each group, schedulers, the scaler, modules with a state of their own."""
    return {
        "optimizers": [[kind, groups] for kind, groups in optimizers],
        "schedulers": [[type(each).__name__ for each in with_inner(scheduler)] for scheduler in schedulers],
        "scaler": None if scaler is None else ENABLED if scaler.is_enabled() else DISABLED,
        "extra": list(extra),
    }


def check_made_alike(recorded: dict[str, Any], live: dict[str, Any]) -> None:
    """Raise `LayoutMismatch`, saying what was found in the snapshot and what the live loop expects.

    A group, and a parameter in a group, that only the live loop has came later and is left alone; a parameter that only the snapshot
    has in its groups has left them, and is not trained any more.
    """
    _check_same("optimizers", *([kind for kind, _ in layout["optimizers"]] for layout in (recorded, live)))
    for number, ((_, were), (_, are)) in enumerate(zip(recorded["optimizers"], live["optimizers"], strict=True)):
        _check_groups(number, were, are)
    _check_same("schedulers", recorded["schedulers"], live["schedulers"])
    if (recorded["scaler"], live["scaler"]) != (ENABLED, DISABLED):
        _check_same("scaler", recorded["scaler"], live["scaler"])
    _check_same("modules with extra state", recorded["extra"], live["extra"])


def _check_groups(number: int, were: Sequence[list[str]], are: Sequence[list[str]]) -> None:
    if len(were) > len(are):
        raise LayoutMismatch(f"{len(were)} parameter groups were recorded, {len(are)} are left")
    left = {name for group in are for name in group}
    for index, (found, expected) in enumerate(zip(were, are, strict=False)):
        if moved := sorted(left & set(found) - set(expected)):
            raise LayoutMismatch(f"optimizer {number}, group {index}: found {moved[:3]}, expected only {expected[:3]} and the like")


def _check_same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise LayoutMismatch(f"{what}: found {found}, expected {expected}")
