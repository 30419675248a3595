"""What is legal now, as arrays. Asked of `refusal` alone, so that masked and refused are the same thing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tolaria.lifecycle.action import Op
from tolaria.lifecycle.gates import refusal
from tolaria.policy.view import View


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """True is legal. `op` is [6] in the order of `Op`; `slot_by_op` is [6, S]: which slots the op may be executed on."""

    op: NDArray[np.bool_]
    slot_by_op: NDArray[np.bool_]

    @property
    def forced(self) -> bool:
        """Whether WAIT is the only legal op, so that nothing was decided."""
        return int(self.op.sum()) == 1

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Both as one array [6 + 6 S], the ops first, as `GrowthActions` reads them."""
        return np.concatenate([self.op, self.slot_by_op.ravel()])


def masks_of(view: View) -> Masks:
    """The masks of one environment; slots stand in the order of the view. WAIT is legal on every slot, for it looks at none."""
    slot_by_op = np.array([[refusal(view.slots, op, slot, view.gates) is None for slot in view.slots] for op in Op], dtype=np.bool_)
    return Masks(op=np.array([bool(row.any()) for row in slot_by_op]), slot_by_op=slot_by_op)
