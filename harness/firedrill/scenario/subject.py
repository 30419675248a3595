"""What is trained in a scenario: a task, a controller, and the settings that the scenario wants different."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from firedrill.faults.fault import Unfit
from tolaria.catalogue import BLUEPRINT_NAMES
from tolaria.env.config import TrainingConfig
from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.lifecycle.action import WAIT, Action, Op
from tolaria.lifecycle.alpha import Curve
from tolaria.lifecycle.gates import GateConfig
from tolaria.lifecycle.seed import Blend

TaskName = Literal["digits", "digits_impaired", "spirals", "spirals_impaired", "pydoc_lm", "stdlib_lm", "wide"]

# The slots of each task's host, and the family of blueprints that fit them. Tests hold them equal to the hosts themselves.
SLOTS: dict[str, tuple[str, ...]] = {
    "digits": ("s0", "s1"),
    "digits_impaired": ("s0", "s1"),
    "spirals": ("s0", "s1"),
    "spirals_impaired": ("s0", "s1"),
    "pydoc_lm": ("s0", "s1"),
    "stdlib_lm": ("s0", "s1", "s2"),
    "wide": ("s0", "s1"),
}
FAMILIES: dict[str, str] = {
    "digits": "conv",
    "digits_impaired": "conv",
    "spirals": "mlp",
    "spirals_impaired": "mlp",
    "pydoc_lm": "transformer",
    "stdlib_lm": "transformer",
    "wide": "mlp",
}

# The floating-point parameters and buffers of each task's own host, without seeds; what a selector can match before anything grows.
_CONV = tuple(f"blocks.{n}.{name}" for n in (0, 1) for name in ("conv.weight", "norm.weight", "norm.bias"))
_STATISTICS = tuple(f"blocks.{n}.norm.{name}" for n in (0, 1) for name in ("running_mean", "running_var"))
_DENSE = tuple(f"blocks.{n}.linear.{name}" for n in (0, 1) for name in ("weight", "bias"))
_STRAIGHT = tuple(f"blocks.{n}.{name}" for n in (0, 1) for name in ("weight", "bias"))
_LAYERS = ("attention.norm", "attention.queries_keys_values", "attention.out", "norm", "wide", "narrow")
_EMBEDDED = tuple(f"blocks.0.1.{layer}.{name}" for layer in _LAYERS for name in ("weight", "bias"))
_LATER = {n: tuple(f"blocks.{n}.{layer}.{name}" for layer in _LAYERS for name in ("weight", "bias")) for n in (1, 2)}
# The weight of the head is that of the embedding, and is known by the name that comes first.
_ENDS = ("blocks.0.0.tokens.weight", "blocks.0.0.places.weight", "head.norm.weight", "head.norm.bias", "head.linear.bias")
PARAMETERS: dict[str, tuple[str, ...]] = {
    "digits": (*_CONV, "head.linear.weight", "head.linear.bias"),
    "digits_impaired": (*_CONV, "head.linear.weight", "head.linear.bias"),
    "spirals": (*_DENSE, "head.weight", "head.bias"),
    "spirals_impaired": (*_STRAIGHT, "head.weight", "head.bias"),
    "pydoc_lm": (*_EMBEDDED, *_LATER[1], *_ENDS),
    "stdlib_lm": (*_EMBEDDED, *_LATER[1], *_LATER[2], *_ENDS),
    "wide": (*_DENSE, "head.weight", "head.bias"),
}
BUFFERS: dict[str, tuple[str, ...]] = {
    "digits": _STATISTICS,
    "digits_impaired": _STATISTICS,
    "spirals": (),
    "spirals_impaired": (),
    "pydoc_lm": (),
    "stdlib_lm": (),
    "wide": (),
}

# The modules of each task's own host that compute something, by name, with their types; the slots of seeds are among them.
_CONVOLVING = {
    f"blocks.{n}{part}": kind for n in (0, 1) for part, kind in (("", "ConvBlock"), (".conv", "Conv2d"), (".norm", "BatchNorm2d"))
}
_PLACES = {"slots.s0": "Slot", "slots.s1": "Slot"}
_DIGITS = {**_CONVOLVING, **_PLACES, "head": "PooledHead", "head.linear": "Linear"}
_BLOCK = {
    "": "TransformerBlock",
    ".attention": "CausalAttention",
    ".attention.norm": "LayerNorm",
    ".attention.queries_keys_values": "Linear",
    ".attention.out": "Linear",
    ".norm": "LayerNorm",
    ".wide": "Linear",
    ".narrow": "Linear",
}
_READING = {
    "blocks.0": "Sequential",
    **{f"blocks.0.0{part}": "Embedding" for part in ("", ".tokens", ".places")},
    **{f"blocks.{block}{part}": kind for block in ("0.1", "1") for part, kind in _BLOCK.items()},
}
_ANSWERING = {**_PLACES, "head": "TokenHead", "head.norm": "LayerNorm", "head.linear": "Linear"}
_PERCEPTRON = {
    **{f"blocks.{n}{part}": kind for n in (0, 1) for part, kind in (("", "DenseBlock"), (".linear", "Linear"))},
    **_PLACES,
    "head": "Linear",
}
MODULES: dict[str, dict[str, str]] = {
    "digits": _DIGITS,
    "digits_impaired": _DIGITS,
    "spirals": _PERCEPTRON,
    "wide": _PERCEPTRON,
    "spirals_impaired": {**{f"blocks.{n}": "Linear" for n in (0, 1)}, **_PLACES, "head": "Linear"},
    "pydoc_lm": {**_READING, **_ANSWERING},
    "stdlib_lm": {**_READING, **{f"blocks.2{part}": kind for part, kind in _BLOCK.items()}, **_ANSWERING, "slots.s2": "Slot"},
}
# The types of modules that seeds of each family are made of, and the gates of those that have one.
SEED_TYPES: dict[str, tuple[str, ...]] = {
    "conv": ("Conv2d", "Gated", "GroupNorm", "Linear", "ReLU", "Sequential", "Sigmoid", "SqueezeExcite"),
    "mlp": ("Gated", "LayerNorm", "Linear", "ReLU", "Sequential", "Sigmoid"),
    "transformer": ("CausalAttention", "GELU", "Gated", "LayerNorm", "Linear", "ReLU", "Sequential", "Sigmoid"),
}

# Loops that are not ours, and what may stand around each, the usual one first. Tests hold them equal to the loops themselves.
MechanismName = Literal[
    "tolaria",
    "tolaria_gated",
    "own",
    "none",
    "clip_norm",
    "zclip",
    "skip_non_finite",
    "terminate_on_nan",
    "reload_on_nan",
    "gradient_clip_val",
    "early_stopping",
    "detect_anomaly",
    "nan_filter",
    "max_grad_norm",
]
Kind = Literal["growth", "canary", "plain_loop", "lightning", "transformers", "loop"]
UNGUARDED: MechanismName = "none"
MECHANISMS: dict[str, tuple[MechanismName, ...]] = {
    "plain_loop": (
        "tolaria",
        "tolaria_gated",
        UNGUARDED,
        "clip_norm",
        "zclip",
        "skip_non_finite",
        "terminate_on_nan",
        "reload_on_nan",
    ),
    "lightning": ("tolaria", UNGUARDED, "gradient_clip_val", "early_stopping", "detect_anomaly"),
    "transformers": ("tolaria", UNGUARDED, "nan_filter", "max_grad_norm"),
    "loop": ("own", UNGUARDED),
}
LOOP_TASKS = ("digits", "spirals")
# The model of every loop but a user's own.
_NORMED = ("linear.weight", "linear.bias", "norm.weight", "norm.bias")
LOOP_PARAMETERS = (*(f"blocks.{n}.{name}" for n in (0, 1) for name in _NORMED), "head.weight", "head.bias")
LOOP_BUFFERS = tuple(f"blocks.{n}.norm.{name}" for n in (0, 1) for name in ("running_mean", "running_var"))

ENVS_MAX = 64
# About a billion parameters.
WIDTH_MAX = 32_768
STEPS_MAX = 10_000


def _refusable(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    # A function in between makes pydantic forget that the lists come from a file, which may stand for tuples.
    if isinstance(value, dict):
        value = {key: tuple(given) if isinstance(given, list) else given for key, given in value.items()}
    # A config refuses nonsense by its own error, which names the field at its end.
    try:
        return validate(value)
    except ConfigError as error:
        raise Unfit(error.path.rpartition(".")[2], f"{error.found!r} does not go; expected {error.expected}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLine:
    """A decision at a step, for one environment or, without `env`, for every one; the factors are those of an action."""

    step: Annotated[int, Field(ge=0)]
    op: Op
    env: Annotated[int, Field(ge=0)] | None = None
    slot: str = WAIT.slot
    blueprint: str = WAIT.blueprint
    blend: Blend = WAIT.blend
    tempo: Annotated[int, Field(ge=1)] = WAIT.tempo
    alpha_target: Annotated[float, Field(ge=0.0, le=1.0)] = WAIT.alpha_target
    alpha_speed: Annotated[int, Field(ge=0)] = WAIT.alpha_speed
    alpha_curve: Curve = WAIT.alpha_curve

    @property
    def action(self) -> Action:
        """The decision itself."""
        return Action(
            op=self.op,
            slot=self.slot,
            blueprint=self.blueprint,
            blend=self.blend,
            tempo=self.tempo,
            alpha_target=self.alpha_target,
            alpha_speed=self.alpha_speed,
            alpha_curve=self.alpha_curve,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A run of `steps` decision steps in `envs` environments. `rollout_steps` None makes the whole run one rollout.

    `gate`: fused optimizers keep a gradient that is not finite from the weights. `backend` trains hosts one by one, perceptrons
    as one stack, or hosts on a CUDA device by replaying graphs. `width` is that of the host of the task `wide`.
    `checkpoint_every` so many steps the struck run stores a checkpoint on the disk; None means that nothing is stored.

    `kind` is "growth" for tolaria's own training; "canary" is the same with a bug that was planted on purpose, for a campaign's
    proof that it sees. The others are loops that are not ours, a step of which is one optimizer step, with a recovery `mechanism`
    around them: "plain_loop", "lightning" and "transformers" train a small network with batch normalisation on the task, and
    `loop: package.module:factory` names a loop of your own. With `amp` a plain loop trains in mixed precision with a scaler.
    """

    steps: Annotated[int, Field(ge=1, le=STEPS_MAX)]
    kind: Kind = "growth"
    loop: str | None = None
    mechanism: MechanismName | None = None
    amp: bool = False
    task: TaskName = "spirals"
    seed: Annotated[int, Field(ge=0)] = 0
    envs: Annotated[int, Field(ge=1, le=ENVS_MAX)] = 1
    policy: Literal["scripted", "heuristic", "random", "ppo"] = "scripted"
    script: tuple[ScriptLine, ...] = ()
    rollout_steps: Annotated[int, Field(ge=1)] | None = None
    checkpoint_every: Annotated[int, Field(ge=1)] | None = None
    batches_per_step: Annotated[int, Field(ge=1, le=1000)] = TrainingConfig().batches_per_step
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    gate: bool = TrainingConfig().gate
    backend: Literal["loop", "stacked", "graphs"] = "loop"
    width: Annotated[int, Field(ge=1, le=WIDTH_MAX)] | None = None
    governor: Annotated[GovernorConfig, WrapValidator(_refusable)] = GovernorConfig()
    gates: Annotated[GateConfig, WrapValidator(_refusable)] = GateConfig()

    @property
    def is_loop(self) -> bool:
        """Whether somebody else's loop is trained: one environment, no slots, no controller."""
        return self.kind in MECHANISMS

    @property
    def guard(self) -> MechanismName:
        """The mechanism around a loop."""
        return self.mechanism or MECHANISMS[self.kind][0]

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of the host."""
        return SLOTS[self.task]


def blueprints_of(task: str) -> tuple[str, ...]:
    """The blueprints that fit the host of a task."""
    return BLUEPRINT_NAMES[FAMILIES[task]]
