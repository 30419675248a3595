"""A network whose answers depend less and less on its inputs.

I = H(mean answer) - mean H(answer), in nats on the validation batch, is what an answer says about its input: zero for
a constant one, whether uniform or certain, with any number of classes and any frequency of labels.
"""

import math
from statistics import fmean

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# What is left of the usual information when it counts as lost.
LEFT = 0.25
# Below this part of ln C there has never been anything to lose.
INFORMED = 0.05
WITNESSED, SUSPECT_AT, IN_A_ROW = 2, 3, 4
# A host that has just begun may turn round, and says a fifth of the usual for a step or two while its loss stays where it was. One that is
# dead says nothing, and one that is as good as dead has a loss half as high again.
NOTHING, TIMES, RECENT = 0.1, 1.5, 10
# More than so much of the usual information contradicts a loss which says that all is lost.
CONTRADICTS = 0.5
# A host that is shaken, by a seed that begins to blend or by a step that was too long, may be surely wrong for some steps and say as much
# of the inputs as ever all the while. It comes back by itself, or is still there after so many times as many steps; but whose losses are
# in the mean so many times the prior one is not waited for.
PATIENCE, TOO_HIGH = 2, 3.0


class MutualInformation:
    """Counted, and one says nothing: the mutual information is below a quarter of its median in the clean window.

    Two in a row are a collapse where nothing is left of it or the loss has risen as well; else three are suspect, and four one.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Nothing to say where nobody looked at the answers, or not often enough yet."""
        left = information_left(vitals, window, self._limits)
        if left is None or left >= LEFT:
            return None
        assert vitals.outputs is not None
        risen = vitals.val_loss > TIMES * fmean(window.clean.losses[-RECENT:])
        in_a_row = WITNESSED if risen or left < NOTHING else IN_A_ROW
        evidence = f"answers say {vitals.outputs.mutual_information:.4f} nats of inputs, usually {window.clean.median_information:.4f}"
        return Alarm("mutual_information", in_a_row, vitals.val_loss, None, evidence, suspect_at=min(in_a_row, SUSPECT_AT))


def information_left(vitals: Vitals, window: LossWindow, limits: Limits) -> float | None:
    """What part of their usual information the answers hold; None where that is not known or has never been any."""
    if vitals.outputs is None or len(window.clean.outputs) < limits.config.samples_min:
        return None
    usual = window.clean.median_information
    return vitals.outputs.mutual_information / usual if usual > INFORMED * limits.chance_loss else None


def contradicted(vitals: Vitals, window: LossWindow, limits: Limits) -> bool:
    """Whether the answers are known to say more than half of what they usually say, whatever has become of the loss."""
    left = information_left(vitals, window, limits)
    return left is not None and left > CONTRADICTS


def patience(in_a_row: int, vitals: Vitals, window: LossWindow, limits: Limits) -> int:
    """How many in a row are a collapse where `in_a_row` are without a contradiction; as many too where the mean of these is too high."""
    latest = [math.inf if loss is None else loss for loss in (*window.recent, vitals.val_loss)][-in_a_row:]
    # A comparison that is written so that nobody waits for NaN.
    shaken = fmean(latest) <= TOO_HIGH * limits.prior_loss
    return PATIENCE * in_a_row if shaken and contradicted(vitals, window, limits) else in_a_row
