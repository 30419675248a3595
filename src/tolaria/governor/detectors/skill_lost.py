"""A network that had a skill and is no better now than someone who knows only how frequent each class is."""

from statistics import fmean

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# Parts of the prior loss: above the first there is no skill, below the second there was some.
UNSKILLED, SKILLED = 0.9, 0.6
# A loss half as high again, for a step or two, is what a seed that begins to blend may do.
TIMES = 2.0
RECENT = 10
IN_A_ROW = 2


class SkillLost:
    """Counted, two in a row, and one says nothing: the loss is above 0.9 of the prior loss and twice a mean of ten below 0.6 of it.

    The prior loss is the cross-entropy of the predictor that answers every question with the frequencies of the classes.
    """

    def __init__(self, limits: Limits) -> None:
        self._samples_min = limits.config.samples_min
        self._unskilled = UNSKILLED * limits.prior_loss
        self._skilled = SKILLED * limits.prior_loss

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Twice, because healthy training, and above all a seed that begins to blend, may shake a host for one step."""
        before = window.clean.losses
        if len(before) < self._samples_min:
            return None
        # The mean is asked for last, because hardly any loss is so bad.
        if not vitals.val_loss > self._unskilled:
            return None
        usual = fmean(before[-RECENT:])
        if usual >= self._skilled or not vitals.val_loss > TIMES * usual:
            return None
        evidence = f"loss {vitals.val_loss:.4g} above {self._unskilled:.4g} after a mean of {usual:.4g}"
        return Alarm("skill_lost", IN_A_ROW, vitals.val_loss, self._unskilled, evidence, suspect_at=IN_A_ROW)
