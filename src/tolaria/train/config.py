"""The whole configuration of a run, and the door through which it comes from a file.

A run is its config, its seed and its commit. The config is stored with the run as JSON; reading it back refuses what
it does not know.
"""

import json
import reprlib
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tolaria.env.config import BACKENDS, AttributionConfig, RewardConfig, TrainingConfig
from tolaria.errors import ConfigError
from tolaria.governor.config import GovernorConfig
from tolaria.lifecycle.action import Action
from tolaria.lifecycle.gates import GateConfig
from tolaria.policy.heuristic import HeuristicConfig
from tolaria.policy.schedule import ScheduleConfig
from tolaria.ppo.config import PpoConfig
from tolaria.tasks.choice import check_choice
from tolaria.tasks.wide import WIDTH_MAX
from tolaria.train import disk

# What may be another in a run that goes on: when it is stored, and where its data lie, the content of which is compared by itself.
UNDECIDING = {"checkpoint_every", "data"}
POLICIES = ("heuristic", "ppo", "random", "schedule", "noop", "scripted")


@dataclass(frozen=True, slots=True)
class Move:
    """One scripted decision: in this step of the run, for one environment or, with None, for all."""

    step: int
    env: int | None
    action: Action


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A run. `steps` are decision steps of every environment; an episode is `episode_steps` long, None for the whole run.

    `rollout_steps` rows of every environment make one update of a controller that learns. `threads` is recorded because
    the number of intra-op threads changes the bits of a CPU run, and so does the `backend`, which trains hosts one by one
    or several at once. `data` is the folder of a task that is read from one, `width` that of the host of the task `wide`.
    """

    task: str = "digits"
    data: str | None = None
    policy: str = "heuristic"
    envs: int = 4
    steps: int = 60
    seed: int = 0
    device: str = "cpu"
    episode_steps: int | None = None
    rollout_steps: int = 20
    threads: int = 1
    backend: str = "loop"
    width: int | None = None
    checkpoint_every: int = 20
    script: tuple[Move, ...] = ()
    training: TrainingConfig = TrainingConfig()
    gates: GateConfig = GateConfig()
    reward: RewardConfig = RewardConfig()
    attribution: AttributionConfig = AttributionConfig()
    heuristic: HeuristicConfig = HeuristicConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    governor: GovernorConfig = GovernorConfig()
    ppo: PpoConfig = PpoConfig()

    def __post_init__(self) -> None:
        check_choice(self.task, self.data)
        if self.policy not in POLICIES:
            raise ConfigError("policy", self.policy, f"one of {', '.join(POLICIES)}")
        for name in ("envs", "steps", "rollout_steps", "threads", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "1 or more")
        if self.episode_steps is not None and self.episode_steps < 1:
            raise ConfigError("episode_steps", self.episode_steps, "1 or more, or nothing for the whole run")
        if self.width is not None and (self.task != "wide" or not 1 <= self.width <= WIDTH_MAX):
            raise ConfigError("width", self.width, f"1 to {WIDTH_MAX} with task: wide, and nothing with any other")
        if self.backend not in BACKENDS:
            raise ConfigError("backend", self.backend, f"one of {', '.join(BACKENDS)}")
        # More threads cut a stack into pieces wherever it is convenient, and then a host's bits depend on how many there are.
        if self.backend == "stacked" and self.threads > 1:
            raise ConfigError("threads", self.threads, "1 with backend: stacked")
        if self.seed < 0:
            raise ConfigError("seed", self.seed, "0 or more")
        if self.ppo.minibatches > self.envs:
            raise ConfigError("ppo.minibatches", self.ppo.minibatches, f"at most the {self.envs} environments")
        if self.script and self.policy != "scripted":
            raise ConfigError("script", f"{len(self.script)} moves", "policy: scripted")

    @property
    def episode_length(self) -> int:
        """Steps until the time limit."""
        return self.steps if self.episode_steps is None else self.episode_steps


_ADAPTER = TypeAdapter(TrainConfig)


def dump(config: TrainConfig) -> str:
    """The config as one line of JSON, keys in order."""
    return json.dumps(asdict(config), sort_keys=True)


def described(config: TrainConfig) -> dict[str, object]:
    """The config as values of JSON."""
    values: dict[str, object] = json.loads(dump(config))
    return values


def save(config: TrainConfig, path: Path) -> None:
    """Write the config to a file; without it no checkpoint is of any use, so it is on the disk before the first one."""
    disk.replace(path, f"{json.dumps(asdict(config), sort_keys=True, indent=2)}\n".encode())


def load(path: Path) -> TrainConfig:
    """The config in a file; raises `ConfigError` naming what is wrong. Nothing is converted: "4" is no number."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(str(path), "no such file", "the config.json of a run") from None
    except IsADirectoryError:
        raise ConfigError(str(path), "a folder", "the config.json of a run") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"byte {error.start}: {error.reason}", "JSON") from None


def parse(text: str, path: str) -> TrainConfig:
    """The config that a text holds; raises `ConfigError`, which calls it by its path."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(path, f"line {error.lineno}: {error.msg}", "JSON") from None
    # Brackets by the thousand end in a RecursionError.
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, str(error), "the configuration of a run") from None
    try:
        config = _ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {place}", first.get("input"), first["msg"]) from None
    # What was read and is nowhere in the result has been passed over.
    if unknown := _unknown(values, described(config), ""):
        raise ConfigError(path, f"unknown key {unknown[0]!r}", "only keys of a run's configuration")
    return config


def as_loaded(config: TrainConfig) -> TrainConfig:
    """The same as a file gives it back, in which a whole number that stands for a fraction is one."""
    return parse(dump(config), "config")


def difference(found: TrainConfig, expected: TrainConfig) -> str:
    """The first setting by which these two are not the same run, in words; empty where they are."""
    there, here = (_flat(described(config)) for config in (found, expected))
    for name, value in here.items():
        if name not in UNDECIDING and there[name] != value:
            return f"{name}: found {reprlib.repr(there[name])}, expected {reprlib.repr(value)}"
    return ""


def _flat(values: object, place: str = "") -> dict[str, object]:
    if not isinstance(values, dict):
        return {place.removesuffix("."): values}
    return {name: value for key, inner in values.items() for name, value in _flat(inner, f"{place}{key}.").items()}


def _unknown(values: object, known: object, place: str) -> list[str]:
    if isinstance(values, list) and isinstance(known, list):
        pairs = enumerate(zip(values, known, strict=True))
        return [key for index, (value, inner) in pairs for key in _unknown(value, inner, f"{place}{index}.")]
    if not (isinstance(values, dict) and isinstance(known, dict)):
        return []
    surplus = [f"{place}{key}" for key in values if key not in known]
    return surplus + [key for name in values.keys() & known.keys() for key in _unknown(values[name], known[name], f"{place}{name}.")]
