"""A network that had a skill and is no better now than someone who knows only how frequent each class is."""

from itertools import combinations
from statistics import fmean

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.detectors.mutual_information import patience
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals

# Parts of the prior loss: above the first there is no skill, below the second there was some.
UNSKILLED, SKILLED = 0.9, 0.6
# A loss half as high again, for a step or two, is what a seed that begins to blend may do.
TIMES = 2.0
RECENT = 10
# A healthy shock is over after two steps; some last for four, in hosts whose answers say all the while as much as ever.
SUSPECT_AT, IN_A_ROW = 2, 3
# A growing loss is none, and is known before the third: they are so many times the highest of the recent losses, and of the 28 pairs
# out of the last eight losses nearly all rise. (The test of Mann and Kendall: without a trend so many do once in 140 times.)
REACH = 3.0
ORDERED, RISES_MIN = 8, 24


class SkillLost:
    """Counted, and one says nothing: the loss is above 0.9 of the prior loss and twice a mean of ten below 0.6 of it.

    Three in a row are a collapse; two where the loss grew there step by step, out of reach of all losses before. Where the answers
    contradict it, three must have grown so, or it takes six. The prior loss is the cross-entropy of the predictor that answers
    every question with the frequencies of the classes.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unskilled = UNSKILLED * limits.prior_loss
        self._skilled = SKILLED * limits.prior_loss

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """More than once, because healthy training, and above all a seed that begins to blend, may shake a host for a step or two."""
        before = window.clean.losses
        if len(before) < self._limits.config.samples_min:
            return None
        # The mean is asked for last, because hardly any loss is so bad.
        if not vitals.val_loss > self._unskilled:
            return None
        usual = fmean(before[-RECENT:])
        if usual >= self._skilled or not vitals.val_loss > TIMES * usual:
            return None
        evidence = f"loss {vitals.val_loss:.4g} above {self._unskilled:.4g} after a mean of {usual:.4g}"
        return Alarm("skill_lost", self._in_a_row(vitals, window), vitals.val_loss, self._unskilled, evidence, suspect_at=SUSPECT_AT)

    def _in_a_row(self, vitals: Vitals, window: LossWindow) -> int:
        needed = patience(IN_A_ROW, vitals, window, self._limits)
        grown = SUSPECT_AT if needed == IN_A_ROW else IN_A_ROW
        return grown if _grew_out_of_reach(window, vitals.val_loss, grown) else needed


def _grew_out_of_reach(window: LossWindow, loss: float, steps: int) -> bool:
    # Of all losses, whether they count as clean or not. Healthy losses leap far, but not in order, or in order, but not so far.
    known = [*window.recent, loss]
    latest = [one for one in known if one is not None]
    if len(latest) < len(known) or not min(latest[-steps:]) > REACH * max(latest[:-steps]):
        return False
    return sum(later > earlier for earlier, later in combinations(latest[-ORDERED:], 2)) >= RISES_MIN
