"""Every fault that a scenario can name under `do:`."""

from firedrill.faults.amp_scale import AmpScale
from firedrill.faults.bn_poison import BnPoison
from firedrill.faults.cuda_oom import CudaOom
from firedrill.faults.cuda_sticky import CudaSticky
from firedrill.faults.data_damage import DataDamage
from firedrill.faults.data_poison import DataPoison
from firedrill.faults.data_set import DataSet
from firedrill.faults.env_raise import EnvRaise
from firedrill.faults.env_stall import EnvStall
from firedrill.faults.fault import Fault
from firedrill.faults.governor_double_collapse import GovernorDoubleCollapse
from firedrill.faults.governor_raise_in import GovernorRaiseIn
from firedrill.faults.governor_suppress import GovernorSuppress
from firedrill.faults.grad_explode import GradExplode
from firedrill.faults.io_efbig import IoEfbig
from firedrill.faults.io_eio import IoEio
from firedrill.faults.io_enospc import IoEnospc
from firedrill.faults.io_short import IoShort
from firedrill.faults.io_torn import IoTorn
from firedrill.faults.lifecycle_advance import LifecycleAdvance
from firedrill.faults.lifecycle_fossilize import LifecycleFossilize
from firedrill.faults.lifecycle_germinate import LifecycleGerminate
from firedrill.faults.lifecycle_prune import LifecyclePrune
from firedrill.faults.loss_drift import LossDrift
from firedrill.faults.loss_scale import LossScale
from firedrill.faults.loss_set import LossSet
from firedrill.faults.mem_limit import MemLimit
from firedrill.faults.mem_oom import MemOom
from firedrill.faults.observation_nan import ObservationNan
from firedrill.faults.optim_lr_spike import OptimLrSpike
from firedrill.faults.optim_poison import OptimPoison
from firedrill.faults.output_lobotomize import OutputLobotomize
from firedrill.faults.penalty_lost import PenaltyLost
from firedrill.faults.ppo_nan_advantage import PpoNanAdvantage
from firedrill.faults.ppo_nan_logits import PpoNanLogits
from firedrill.faults.ppo_nan_value import PpoNanValue
from firedrill.faults.proc_abort import ProcAbort
from firedrill.faults.proc_sigkill import ProcSigkill
from firedrill.faults.proc_sigstop import ProcSigstop
from firedrill.faults.reward_nan import RewardNan
from firedrill.faults.rng_disturb import RngDisturb
from firedrill.faults.sink_block import SinkBlock
from firedrill.faults.sink_raise import SinkRaise
from firedrill.faults.snapshot_corrupt import SnapshotCorrupt
from firedrill.faults.snapshot_stale import SnapshotStale
from firedrill.faults.stream_violate import StreamViolate
from firedrill.faults.tensor_flip_bit import TensorFlipBit
from firedrill.faults.tensor_noise import TensorNoise
from firedrill.faults.tensor_scale import TensorScale
from firedrill.faults.tensor_set import TensorSet
from firedrill.faults.tensor_zero import TensorZero
from firedrill.faults.unit_kill_relu import UnitKillRelu

FAULTS: dict[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        TensorSet,
        TensorScale,
        TensorFlipBit,
        TensorNoise,
        TensorZero,
        GradExplode,
        UnitKillRelu,
        BnPoison,
        OptimPoison,
        OptimLrSpike,
        AmpScale,
        DataSet,
        DataDamage,
        DataPoison,
        RngDisturb,
        LossSet,
        LossScale,
        LossDrift,
        OutputLobotomize,
        LifecycleGerminate,
        LifecycleAdvance,
        LifecyclePrune,
        LifecycleFossilize,
        EnvRaise,
        EnvStall,
        SnapshotCorrupt,
        SnapshotStale,
        GovernorRaiseIn,
        GovernorDoubleCollapse,
        GovernorSuppress,
        ObservationNan,
        RewardNan,
        PpoNanLogits,
        PpoNanValue,
        PpoNanAdvantage,
        PenaltyLost,
        SinkRaise,
        SinkBlock,
        ProcSigkill,
        ProcSigstop,
        ProcAbort,
        IoTorn,
        IoShort,
        IoEnospc,
        IoEio,
        IoEfbig,
        MemOom,
        MemLimit,
        CudaOom,
        CudaSticky,
        StreamViolate,
    )
}
