"""Governors that do not say what they do, and controllers that do not learn from it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from power.patching import Patch, Wrapper, always, wrap

from tolaria.governor.governor import Governor
from tolaria.ppo import buffer as buffering
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.penalty import Cause, Charged, Share
from tolaria.ppo.row import Row
from tolaria.telemetry.event import Event
from tolaria.telemetry.growth_events import StageChanged
from tolaria.telemetry.history import History


def told(kind: type[Event], times: int) -> Callable[[Patch], None]:
    def sabotage(patch: Patch) -> None:
        def around(real: Wrapper, self: History, event: Event) -> None:
            for _ in range(times if isinstance(event, kind) else 1):
                real(self, event)

        wrap(patch, History, "emit", around)

    return sabotage


def a_prune_is_not_told(patch: Patch) -> None:
    def around(real: Wrapper, self: History, event: Event) -> None:
        if not (isinstance(event, StageChanged) and event.initiator == "governor"):
            real(self, event)

    wrap(patch, History, "emit", around)


def the_penalty_is_dropped(patch: Patch) -> None:
    wrap(patch, Governor, "enforce", lambda real, *args: replace(real(*args), penalty=None))


def rewards_are_clipped(patch: Patch) -> None:
    wrap(patch, RolloutBuffer, "_numbers", lambda real, self, columns: real(self, columns).clamp_min(-1.0))


def the_penalty_comes_twice(patch: Patch) -> None:
    def around(real: Wrapper, self: RolloutBuffer, env: int, row: Row) -> None:
        real(self, env, row)
        if row.penalized:
            real(self, env, replace(row, fresh=True))

    wrap(patch, RolloutBuffer, "remember", around)


def the_penalty_ends_nothing(patch: Patch) -> None:
    always(patch, Row, "__post_init__", None)
    wrap(patch, Row, "death", lambda real, *args: replace(real(*args), terminated=False))
    wrap(patch, RolloutBuffer, "remember", lambda _, self, env, row: self._rows[env].append(row))


def values_are_expected_after_death(patch: Patch) -> None:
    def around(real: Wrapper, **given: Any) -> torch.Tensor:
        advantages: torch.Tensor = real(**given | {"terminated": torch.zeros_like(given["terminated"])})
        return advantages

    wrap(patch, buffering, "gae", around)


def the_penalty_hits_the_row_before(patch: Patch) -> None:
    def around(_: Wrapper, self: RolloutBuffer, env: int, row: Row) -> None:
        if row.penalized:
            before = self._rows[env].pop()
            self._rows[env].append(replace(before, reward=row.reward, terminated=True, penalized=True))
            row = replace(row, reward=0.0, terminated=False, penalized=False)
        self._rows[env].append(row)

    wrap(patch, RolloutBuffer, "remember", around)


def the_causes_are_let_off(patch: Patch) -> None:
    """The row that collapsed bears everything, as if nobody had decided anything before."""
    wrap(patch, RolloutBuffer, "charge", lambda real, self, env, row, _: real(self, env, row, ()))


def the_first_row_is_blamed(patch: Patch) -> None:
    """Whoever came first pays for the collapse, whether it led there or not."""

    def around(real: Wrapper, self: RolloutBuffer, env: int, row: Row, causes: Sequence[Cause]) -> Charged:
        charged: Charged = real(self, env, row, [Cause(self.rows(env)[0].step, 1.0)])
        return charged

    wrap(patch, RolloutBuffer, "charge", around)


def a_share_is_paid_twice(patch: Patch) -> None:
    """Once by the cause, and once more by the row that collapsed."""

    def around(real: Wrapper, *args: object) -> tuple[Share, ...]:
        found: tuple[Share, ...] = real(*args)
        return (*found[:-1], replace(found[-1], amount=sum(share.amount for share in found)))

    wrap(patch, buffering, "shares", around)


def the_penalty_is_normalized(patch: Patch) -> None:
    """By the spread of rewards, so that it depends on what the others earned."""

    def around(real: Wrapper, self: RolloutBuffer, columns: Any) -> torch.Tensor:
        numbers: torch.Tensor = real(self, columns)
        return numbers / (numbers.std() + 1e-8)

    wrap(patch, RolloutBuffer, "_numbers", around)


def a_death_is_expected_to_go_on(patch: Patch) -> None:
    """The row bootstraps past the rollback, as if a time limit had cut it off."""
    always(patch, Row, "__post_init__", None)
    wrap(patch, Row, "death", lambda real, *args: replace(real(*args), terminated=False, truncated=True, bootstrap=1.0))


def the_aborted_decision_has_a_row_too(patch: Patch) -> None:
    """One of a step that was never executed, which teaches what nobody did."""

    def around(real: Wrapper, self: RolloutBuffer, env: int, row: Row) -> None:
        real(self, env, row)
        if row.penalized:
            real(self, env, replace(row, life=row.life + 1, reward=0.0, terminated=False, truncated=True, penalized=False, fresh=True))

    wrap(patch, RolloutBuffer, "remember", around)
