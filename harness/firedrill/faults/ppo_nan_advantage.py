"""What is expected after the horizon is no number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from firedrill.faults.fault import CouldNotStrike, Fault, Scene, Strike, tensors_digest
from tolaria.seams import ROLLOUT_READY

if TYPE_CHECKING:
    from tolaria.ppo.buffer import RolloutBuffer


@dataclass(frozen=True, slots=True)
class PpoNanAdvantage(Fault):
    """Imitates a bootstrap that diverged: the value after the last row of one environment is NaN, and so are the advantages before it.

    Which environment it is comes from the fault's own stream, since a rollout belongs to all of them.
    """

    kind: ClassVar[str] = "ppo.nan_advantage"
    phases: ClassVar[tuple[str, ...]] = (ROLLOUT_READY.name,)

    @property
    def persistent(self) -> bool:
        """A rollout is struck once, however many environments are named."""
        return True

    def strike(self, value: RolloutBuffer, scene: Scene) -> RolloutBuffer:
        """Write it into a row that was cut off by the horizon, by way of what a checkpoint writes."""
        cut = [env for env in range(value.num_envs) if value.rows(env) and not value.rows(env)[-1].ended]
        if not cut:
            raise CouldNotStrike("no environment was cut off by the horizon")
        env = cut[int(scene.rng.integers(len(cut)))]
        before, facts = tensors_digest([value.advantages]), value.facts()
        rows = [[dict(row) for row in column] for column in facts["rows"]]  # type: ignore[union-attr, arg-type]  # JSON as the buffer wrote it.
        rows[env][-1]["bootstrap"] = math.nan
        value.restore(value.tensors(), facts | {"rows": rows})
        scene.witness(Strike(f"advantages of env {env}", len(rows[env]), before, tensors_digest([value.advantages]), str(math.nan)))
        return value
