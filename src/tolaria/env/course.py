"""What has happened in an episode so far, beside the host: the past that a controller is shown, and where it stood itself."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.seed import Blend
from tolaria.policy.policy import JSON
from tolaria.policy.view import RECENT
from tolaria.vitals import Outputs, Vitals


@dataclass(frozen=True, slots=True)
class Course:
    """How far an episode is. `recent` are its latest finite vitals, oldest first.

    `controller` is where whoever decides stood after its latest decision, in the controller's own words.
    """

    step: int = 0
    recent: tuple[Vitals, ...] = ()
    last_action: Action = WAIT
    last_accepted: bool = True
    controller: JSON = None

    def advanced(self, vitals: Vitals, action: Action, accepted: bool) -> "Course":
        """One step later; vitals that are not finite are not shown to anybody."""
        recent = (*self.recent, vitals)[-RECENT:] if vitals.finite else self.recent
        return replace(self, step=self.step + 1, recent=recent, last_action=action, last_accepted=accepted)

    def facts(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {
            "step": self.step,
            "recent": [vitals_to_list(vitals) for vitals in self.recent],
            # Not as indices: a script may decide what the action space does not hold, and was refused.
            "last_action": asdict(self.last_action),
            "last_accepted": self.last_accepted,
            "controller": self.controller,
        }


def course_from(facts: dict[str, Any]) -> Course:
    """The inverse of `Course.facts`, also after a way through JSON."""
    return Course(
        facts["step"],
        tuple(vitals_from_list(values) for values in facts["recent"]),
        action_from_dict(facts["last_action"]),
        facts["last_accepted"],
        facts["controller"],
    )


def action_from_dict(values: dict[str, Any]) -> Action:
    """The inverse of `asdict` after a way through JSON, where an enum is its word."""
    words = {"op": Op(values["op"]), "blend": Blend(values["blend"]), "alpha_curve": Curve(values["alpha_curve"])}
    return Action(**(values | words))


def vitals_to_list(vitals: Vitals) -> list[Any]:
    """Finite vitals as JSON."""
    numbers = [vitals.step, vitals.train_loss, vitals.val_loss, vitals.val_accuracy, vitals.gradient_norm]
    return [*numbers, None if vitals.outputs is None else vitals.outputs.numbers()]


def vitals_from_list(values: list[Any]) -> Vitals:
    """The inverse of `vitals_to_list`."""
    step, train_loss, val_loss, val_accuracy, gradient_norm, outputs = values
    return Vitals(step, train_loss, val_loss, val_accuracy, gradient_norm, outputs=None if outputs is None else Outputs(*outputs))
