"""A checkpoint is tried on a run of its own before the real one believes it.

Its digest says that it is what was written, and not that it was written by this run. So a run is built, takes it in, and
has to come to the very same checkpoint again, byte for byte: a name, a shape, a dtype or a fact that is not what the run
expects shows there, whatever it is. And every snapshot in it has to be one that a rollback could use. Weights have to be
finite where a run cannot come to a checkpoint with others: a governor rolls such a host back in the very step, and an update
leaves a controller as it was. A host that nobody governs, or that was retired, may be lost, and an isolated seed is its own affair.
"""

import json
from collections.abc import Mapping

import torch

from tolaria.errors import CheckpointDamaged, ConfigError
from tolaria.governor.rollback import check_usable
from tolaria.governor.snapshots import NotFinite
from tolaria.host.finite import all_finite
from tolaria.seams import NO_TAPS
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig, parse
from tolaria.train.config import difference as difference_of_configs
from tolaria.train.manifest import Facts, Tensors
from tolaria.train.run import Run


def check(config: TrainConfig, device: torch.device, tensors: Tensors, facts: Facts) -> None:
    """Raise `CheckpointDamaged` unless a run of this config could have written it."""
    for count in ("step", "next_seq"):
        if type(facts.get(count)) is not int or facts[count] < 0:
            raise CheckpointDamaged(f"it does not fit the run: {count} is {facts.get(count)!r}")
    # Checkpoints have not always said whose they are.
    if "config" in facts:
        _check_owner(facts["config"], config)
    facts = {name: fact for name, fact in facts.items() if name != "config"}
    trial = Run(config, device, History(), NO_TAPS)
    try:
        trial.restore(placed(tensors, device), facts)
        for env, governor in zip(trial.envs.envs, trial.governors, strict=True):
            for snapshot in governor.snapshots.published:
                check_usable(snapshot, env.training)
        _check_finite(trial)
    # It may be wrong in any way, and the older checkpoint is waiting.
    except Exception as error:
        raise CheckpointDamaged(f"it does not fit the run: {type(error).__name__}: {error}") from error
    again, facts_again = trial.capsule()
    if strange := difference(tensors, again):
        raise CheckpointDamaged(f"it does not fit the run: {strange}")
    # The number of the next event is the history's, and the trial has none.
    if _text(facts | {"next_seq": 0}) != _text(facts_again | {"next_seq": 0}):
        raise CheckpointDamaged("it does not fit the run: its facts are not what the run makes of them")


def placed(tensors: Tensors, device: torch.device) -> Tensors:
    """Tensors where a run has them: hosts and snapshots on its device, the rest on the CPU."""
    return {name: tensor.to(device) if name.startswith(("env/", "governor/")) else tensor for name, tensor in tensors.items()}


def difference(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> str:
    """The first tensor that is not the same in name, dtype, shape or any byte, in words; empty where all are."""
    if strange := sorted(wanted.keys() ^ found.keys()):
        return f"{strange[0]} is {'surplus' if strange[0] in wanted else 'missing'}"
    for name, tensor in wanted.items():
        other = found[name]
        if (tensor.dtype, tensor.shape) != (other.dtype, other.shape):
            return f"{name} is {_words(tensor)}, expected {_words(other)}"
        if _raw(tensor) != _raw(other):
            return f"{name} has other bytes"
    return ""


def _check_owner(owner: object, config: TrainConfig) -> None:
    try:
        strange = difference_of_configs(parse(json.dumps(owner), "config"), config)
    except ConfigError as error:
        strange = str(error)
    if strange:
        raise CheckpointDamaged(f"it belongs to another run than config.json: {strange}")


def _check_finite(trial: Run) -> None:
    if not all_finite(trial.policy.tensors().values()):
        raise NotFinite("the controller holds NaN or Inf")
    for env in trial.envs.active if trial.config.governor.enabled else ():
        if places := env.training.nonfinite_places():
            raise NotFinite(f"environment {env.env} holds NaN or Inf in {', '.join(places)}")


def _words(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _raw(tensor: torch.Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _text(facts: Facts) -> str:
    return json.dumps(facts, sort_keys=True)
