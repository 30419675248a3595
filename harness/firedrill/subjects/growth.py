"""The subject `growth`: tolaria's own training run, and what can be seen of one of its hosts from outside."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
import xxhash

from firedrill.events import BufferObserved, RowSeen, StateLeft, TensorSeen
from tolaria.env.capsule import CapsuleHost
from tolaria.env.growth_env import Broken, GrowthEnv
from tolaria.env.pool import Decided
from tolaria.env.vector_env import POOLS
from tolaria.lifecycle.action import Action
from tolaria.lifecycle.stage import Stage
from tolaria.policy.learned import LearnedPolicy
from tolaria.ppo.buffer import RolloutBuffer
from tolaria.ppo.update import recomputed_log_probs
from tolaria.seams import Taps
from tolaria.telemetry.event import Point
from tolaria.telemetry.history import History
from tolaria.train.config import TrainConfig
from tolaria.train.run import Run
from tolaria.train.trainer import Trainer

Parts = tuple[tuple[str, str], ...]

# In these stages a seed learns, so its parameters belong to an optimizer.
LEARNING = frozenset({Stage.TRAINING, Stage.BLENDING, Stage.HOLDING})
# In these stages a seed does not survive a rollback.
GROWING = LEARNING | {Stage.GERMINATED}


def build(config: TrainConfig, history: History, taps: Taps) -> Trainer:
    """A run that has not made its first step."""
    return Trainer.tapped(config, history, taps)


def digest_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """xxh3-128 of names and raw bytes, in the order of the names: a restored optimizer holds its state in another order."""
    hasher = xxhash.xxh3_128()
    for name, tensor in sorted(tensors.items()):
        hasher.update(name.encode())
        hasher.update(_bytes_in_place(tensor))
    return hasher.hexdigest()


def raw_bytes(tensor: torch.Tensor) -> bytes:
    """A tensor's bytes, as they are: +0 and -0 differ, and a NaN equals itself."""
    return bytes(_bytes_in_place(tensor))


def _bytes_in_place(tensor: torch.Tensor) -> memoryview:
    """The same without a copy where there need be none, for whoever reads them at once."""
    if tensor.dtype is torch.bfloat16:
        # NumPy has no such numbers.
        tensor = tensor.detach().contiguous().view(torch.int16)
    return np.ascontiguousarray(tensor.numpy(force=True)).data


def tensors_of(host: CapsuleHost) -> dict[str, torch.Tensor]:
    """Every live tensor: "host/<name>" and "optimizer/<key>/<parameter>/<state key>".

    Read off modules and optimizers and not asked of the host, so that what a host forgets to save is missed.
    """
    parameters = list(host.host.named_parameters())
    tensors: dict[str, torch.Tensor] = {f"host/{name}": tensor for name, tensor in (*parameters, *host.host.named_buffers())}
    names = {id(parameter): name for name, parameter in parameters}
    for key, optimizer in host.optimizers.items():
        for parameter, state in optimizer.state.items():
            owner = names.get(id(parameter), "unknown")
            tensors |= {f"optimizer/{key}/{owner}/{field}": value for field, value in state.items() if isinstance(value, torch.Tensor)}
    return tensors


def lasting_tensors_of(host: CapsuleHost, live_seeds: str) -> dict[str, torch.Tensor]:
    """The live tensors that a rollback has to bring back: all but those of growing seeds and of their optimizers, or truly all."""
    if live_seeds == "restore":
        return tensors_of(host)
    growing = tuple(f"host/slots.{slot.slot_id}." for slot in host.slots() if slot.state.stage in GROWING)
    lasting = ("host/", "optimizer/host/")
    return {name: tensor for name, tensor in tensors_of(host).items() if name.startswith(lasting) and not name.startswith(growing)}


def host_names(tensors: Iterable[str]) -> set[str]:
    """The names of the host's tensors, its seeds' among them."""
    return {name for name in tensors if name.startswith("host/")}


def occupied_slots(host: CapsuleHost) -> tuple[str, ...]:
    """The slots that hold a seed which is no fossil, whatever their records say."""
    return tuple(slot.slot_id for slot in host.slots() if slot.seed is not None and slot.state.stage is not Stage.FOSSILIZED)


def tensors_seen(tensors: Mapping[str, torch.Tensor]) -> tuple[TensorSeen, ...]:
    """Each tensor with its digest, its non-finite elements and its magnitude, by name: a resumed optimizer has another order."""
    return tuple(_seen(name, tensor.detach()) for name, tensor in sorted(tensors.items()))


def _seen(name: str, tensor: torch.Tensor) -> TensorSeen:
    digest = xxhash.xxh3_128_hexdigest(_bytes_in_place(tensor))
    if not tensor.is_floating_point() or not tensor.numel():
        return TensorSeen(name, digest, 0, float(tensor.abs().max()) if tensor.numel() else 0.0)
    largest = float(tensor.abs().max())
    if math.isfinite(largest):
        return TensorSeen(name, digest, 0, largest)
    # A maximum of numbers among which one is not finite is not finite either.
    finite = torch.isfinite(tensor)
    magnitude = float(torch.where(finite, tensor, torch.zeros_like(tensor)).abs().max())
    return TensorSeen(name, digest, int((~finite).sum()), magnitude)


def parts_of(host: CapsuleHost) -> Parts:
    """Digests of everything of one environment's state, part by part."""
    tensors = tensors_of(host)
    facts = host.facts()
    counters = [facts["batches_stepped"], facts["loss_before"], *([host.rewarming] if host.rewarming else [])]
    parts = (
        ("tensors", digest_of({name: tensor for name, tensor in tensors.items() if name.startswith("host/")})),
        ("optimizer", digest_of({name: tensor for name, tensor in tensors.items() if name.startswith("optimizer/")})),
        ("slots", text_digest(facts["manifest"])),
        ("data", text_digest(list(host.batches.position))),
        ("counters", text_digest(counters)),
    )
    return (*parts, ("episode", text_digest(_timeless(facts["course"])))) if host.recovery.rewind else parts


def _timeless(course: dict[str, Any]) -> dict[str, Any]:
    """An episode without the steps of the run that its vitals are labelled with, and without the controller, which a twin lacks."""
    return course | {"recent": [numbers for _, *numbers in course["recent"]], "controller": None}


def text_digest(facts: object) -> str:
    """Digest of anything that JSON can hold."""
    return xxhash.xxh3_128_hexdigest(json.dumps(facts, sort_keys=True).encode())


def states_left(run: Run) -> Iterable[StateLeft]:
    """What every environment and the controller stand like, with the hooks that hang on their hosts."""
    for env in run.envs.envs:
        yield StateLeft(Point(run.step, env.env), parts_of(env.training), hooks_of(env.training))
    yield StateLeft(Point(run.step), (("controller", digest_of(run.policy.tensors())),), 0)


def hooks_of(host: CapsuleHost) -> int:
    """How many hooks hang on modules, parameters and optimizers."""
    owners = [*host.host.modules(), *host.optimizers.values()]
    hung = [held for owner in owners for name, held in vars(owner).items() if name.endswith("hooks")]
    return sum(map(len, [*hung, *(parameter._backward_hooks or () for parameter in host.host.parameters())]))


def own_identities(host: CapsuleHost) -> frozenset[int]:
    """Which objects the host's own parameters are."""
    return frozenset(id(parameter) for name, parameter in host.host.named_parameters() if not name.startswith("slots."))


def optimizers_live(host: CapsuleHost) -> bool:
    """Whether the optimizers hold exactly the live trainable parameters, each once."""
    held = [id(p) for optimizer in host.optimizers.values() for group in optimizer.param_groups for p in group["params"]]
    live = set(own_identities(host))
    for slot in host.slots():
        if slot.state.stage in LEARNING and slot.seed is not None:
            live |= {id(parameter) for parameter in slot.seed.parameters()}
    return len(held) == len(set(held)) and set(held) == live


def buffers_observed(run: Run, buffer: RolloutBuffer, at: Point) -> Iterable[BufferObserved]:
    """Every environment's rows as the update will see them."""
    if not buffer.num_rows:
        return
    rewards, advantages = buffer.rewards, buffer.advantages  # [T, N]
    again = recomputed_log_probs(run.policy.agent, buffer) if isinstance(run.policy, LearnedPolicy) else None
    for env in range(buffer.num_envs):
        rows = tuple(
            RowSeen(
                step=row.step,
                life=row.life,
                reward=float(rewards[t, env]),
                raw_reward=row.reward,
                value=0.0 if row.record is None else row.record.value,
                bootstrap=row.bootstrap,
                advantage=float(advantages[t, env]),
                terminated=row.terminated,
                truncated=row.truncated,
                fresh=row.fresh,
                marker=row.penalized,
                ratio_error=None if again is None or row.record is None else abs(float(again[t, env]) - row.record.log_prob),
                share=row.share,
            )
            for t, row in enumerate(buffer.rows(env))
        )
        if rows:
            yield BufferObserved(Point(at.step, env), rows, run.config.ppo.gamma, run.config.ppo.gae_lambda)


class Twin:
    """A fresh environment that begins where a rolled-back one stands, built from what the harness itself kept of the snapshot.

    `tensors` and `facts` were copied when the snapshot was published. What a rollback does not wind back (the place in the
    data stream, slots at rest, what the controller is shown) comes from the live environment, unless the governor rewinds.
    """

    def __init__(self, live: GrowthEnv, tensors: Mapping[str, torch.Tensor], facts: dict[str, Any], config: TrainConfig) -> None:
        self.env = GrowthEnv(live.task, live.config, config.seed, live.env, live.training.device)
        # Trained as the live one is, but without the others beside it.
        self._pool = POOLS[config.backend]()
        state = live.facts()
        kept, training, governor = facts["training"], state["training"], config.governor
        restores = governor.live_seeds == "restore"
        comes_back = {Stage.FOSSILIZED, *(GROWING if restores else ()), *(set(Stage) - GROWING if governor.rewind else ())}
        slots = training["manifest"]["slots"] | {
            slot_id: slot for slot_id, slot in kept["manifest"]["slots"].items() if slot["state"]["stage"] in comes_back
        }
        stepped = {key: count for key, count in kept["batches_stepped"].items() if restores or key == "host"}
        state["training"] = (kept if governor.rewind else training) | {
            "manifest": training["manifest"] | {"slots": slots},
            "batches_stepped": stepped,
            "loss_before": kept["loss_before"],
            "rewarming": dict.fromkeys(stepped, 0) if governor.optimizer == "rewarm" else {},
        }
        self.env.resume(_by_policy(_under_owners(tensors), governor.optimizer), state)

    def advance(self, action: Action, at: Point) -> Parts:
        """The same decision in the same step; returns the digests of the twin's state."""
        (came,) = self._pool.advance([Decided(self.env, action, at)])
        assert not isinstance(came, Broken), came
        return parts_of(self.env.training)


def _under_owners(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, optimizer state under the names of the tensors that it belongs to, as a checkpoint has it."""
    return {
        f"optimizer/host/{name.split('/', 2)[2]}" if name.startswith("optimizer/") else name: tensor for name, tensor in tensors.items()
    }


def _by_policy(tensors: Mapping[str, torch.Tensor], policy: str) -> dict[str, torch.Tensor]:
    """The harness's own reading of what the optimizer policies promise."""
    if policy == "restore":
        return dict(tensors)
    if policy == "reset_all":
        return {name: tensor for name, tensor in tensors.items() if not name.startswith("optimizer/")}
    return {
        name: torch.zeros_like(tensor) if name.endswith(("/momentum_buffer", "/exp_avg")) else tensor for name, tensor in tensors.items()
    }
