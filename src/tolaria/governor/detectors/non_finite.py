"""NaN or Inf anywhere: a host never comes back from it by itself."""

import math

from tolaria.governor.detectors.detector import Limits
from tolaria.governor.verdict import Alarm
from tolaria.governor.window import LossWindow
from tolaria.vitals import Vitals


class NonFinite:
    """Immediate: losses, accuracy, gradient norm, parameters, buffers or optimizer state are not finite."""

    def __init__(self, limits: Limits) -> None:
        del limits  # Finite needs no limit.

    def alarm(self, vitals: Vitals, window: LossWindow) -> Alarm | None:
        """Names every place that is not finite."""
        # isfinite, never a comparison: NaN > x is False, and an unhealthy host would pass.
        places = list(vitals.nonfinite)
        for name in ("train_loss", "val_loss", "val_accuracy", "gradient_norm"):
            value = getattr(vitals, name)
            if value is not None and not math.isfinite(value):
                places.append(name)
        if not places:
            return None
        loss = vitals.val_loss if math.isfinite(vitals.val_loss) else None
        return Alarm("non_finite", 1, loss, None, f"not finite: {', '.join(places)}")
