"""Every fault that a scenario can name under `do:`."""

from firedrill.faults.data_damage import DataDamage
from firedrill.faults.data_set import DataSet
from firedrill.faults.env_raise import EnvRaise
from firedrill.faults.fault import Fault
from firedrill.faults.governor_raise_in import GovernorRaiseIn
from firedrill.faults.governor_suppress import GovernorSuppress
from firedrill.faults.lifecycle_fossilize import LifecycleFossilize
from firedrill.faults.lifecycle_prune import LifecyclePrune
from firedrill.faults.loss_drift import LossDrift
from firedrill.faults.loss_scale import LossScale
from firedrill.faults.loss_set import LossSet
from firedrill.faults.output_lobotomize import OutputLobotomize
from firedrill.faults.tensor_flip_bit import TensorFlipBit
from firedrill.faults.tensor_scale import TensorScale
from firedrill.faults.tensor_set import TensorSet

FAULTS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        TensorSet,
        TensorScale,
        TensorFlipBit,
        DataSet,
        DataDamage,
        LossSet,
        LossScale,
        LossDrift,
        OutputLobotomize,
        LifecyclePrune,
        LifecycleFossilize,
        EnvRaise,
        GovernorRaiseIn,
        GovernorSuppress,
    )
}
