"""The command `tolaria ppo`. Nothing heavy is imported before it runs."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from tyro.conf import arg

from tolaria.destination import check_destinations
from tolaria.errors import ConfigError
from tolaria.interruption import INTERRUPTED, Interruption, interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from tolaria.ppo.config import PpoConfig
    from tolaria.practice.config import PracticeConfig
    from tolaria.practice.record import Evaluation
    from tolaria.practice.training import Practised, Progress

T = TypeVar("T")
# Where there is no terminal, so many lines tell of everything.
LINES = 10
# The default of everything that a preset knows.
PRESET = "(default: as recommended)"


@dataclass(frozen=True, slots=True)
class Ppo:
    """Train a PPO agent in any environment of gymnasium with discrete actions: the same learner that grows networks here.

    What is recommended for CartPole, Acrobot and our own environments is used unless said otherwise, and other environments begin with
    what often works. Legal actions are asked of the environment's `action_masks()` or of `info["action_mask"]`. A terminated step with
    `info["rollback"]` gets the death penalty. Ctrl-C stops after the update at hand, or ends the evaluation, and keeps
    what was learnt; a second one stops at once.

    Example: tolaria ppo --env CartPole-v1 --steps 100000 --seed 0 --picture cartpole.png

    Example: tolaria ppo --env tolaria/TMaze-v0 --steps 50000 --memory none
    """

    env: str = "CartPole-v1"
    """Its name in gymnasium, or MODULE:NAME where a module has to be imported first; ours are tolaria/Growth-v0, tolaria/MaskedCounting-v0,
    tolaria/RepeatPrevious-v0 and tolaria/TMaze-v0."""
    steps: int = 100_000
    """Steps of all copies of the environment together, rounded up to whole rollouts."""
    seed: int = 0
    """The seed of everything random; on a CPU the same seed gives the same agent."""
    memory: Annotated[Literal["lstm", "none"] | None, arg(metavar="lstm|none", help_behavior_hint=PRESET)] = None
    """Whether the agent remembers what it has seen in an episode."""
    envs: Annotated[int | None, arg(metavar="INT", help_behavior_hint=PRESET)] = None
    """Copies of the environment."""
    rollout_steps: Annotated[int | None, arg(metavar="INT", help_behavior_hint=PRESET)] = None
    """Steps of each copy between two updates."""
    segment_steps: Annotated[int | None, arg(metavar="INT", help_behavior_hint=PRESET)] = None
    """Steps over which a memory is unrolled when it learns."""
    batch_size: Annotated[int | None, arg(metavar="INT", help_behavior_hint=PRESET)] = None
    """Rows of one minibatch."""
    epochs: Annotated[int | None, arg(metavar="INT", help_behavior_hint=PRESET)] = None
    """How often an update goes through its rows."""
    lr: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=PRESET)] = None
    """The learning rate of Adam."""
    clip: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=PRESET)] = None
    """How far an update may change the probability of an action before it learns no more from it."""
    decay: Annotated[bool | None, arg(metavar="True|False", help_behavior_hint=PRESET)] = None
    """Whether learning rate and clip fall to 0 on a straight line until the last step."""
    gamma: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=PRESET)] = None
    """How much a reward in the next step counts."""
    gae_lambda: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=PRESET)] = None
    """How far an advantage looks before it trusts the value."""
    entropy_coef: Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=PRESET)] = None
    """How much chance in its actions is worth to the agent."""
    normalize: Annotated[bool | None, arg(metavar="True|False", help_behavior_hint=PRESET)] = None
    """Whether observations and rewards are brought to one scale."""
    penalty: float = -10.0
    """The reward of a step that ended in a rollback."""
    evaluate: int = 20
    """New episodes that the agent is tried in afterwards, always with its likeliest action; 0 for none."""
    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    """Also write every episode there."""
    picture: Annotated[Path | None, arg(metavar="FILE.png", help_behavior_hint="(default: none)")] = None
    """Also draw the returns over the steps."""

    def run(self) -> int:
        """Returns the exit code."""
        # What needs no torch is answered before it is loaded, which takes seconds.
        if self.steps < 1 or self.evaluate < 0 or self.seed < 0:
            raise ConfigError("steps", (self.steps, self.evaluate, self.seed), "1 step or more; episodes and seed 0 or more")
        check_destinations(self.json, self.picture)
        from rich.console import Console

        from tolaria.environments.named import maker
        from tolaria.practice.evaluation import evaluate
        from tolaria.practice.record import Evaluation
        from tolaria.practice.training import train_env

        make_env, config = maker(self.env), self.config()
        with _watched(self.steps) as (follow, interruption):
            practised = train_env(make_env, config, self.seed, self.steps, follow, interruption.is_requested)
            # What was learnt is kept before an evaluation, which has no end where an episode has none.
            self._write(config, practised, None)
        evaluation = None
        if self.evaluate:
            told = Console(stderr=True)
            with interruptible(lambda: _say(told, "ending the evaluation; once more to stop at once", "yellow")) as interruption:
                found = evaluate(practised, make_env, self.evaluate, self.seed, should_stop=interruption.is_requested)
                evaluation = Evaluation(tuple(found), sampled=False) if found else None
                self._write(config, practised, evaluation)
        _tell(practised, evaluation)
        if self.picture is not None:
            _draw(f"{self.env}, seed {self.seed}", practised, self.picture)
        complete = practised.steps >= self.steps and (evaluation is not None or not self.evaluate)
        return 0 if complete else INTERRUPTED

    def _write(self, config: "PracticeConfig", practised: "Practised", evaluation: "Evaluation | None") -> None:
        from tolaria.practice.record import to_value

        if self.json is not None:
            value = to_value(self.env, self.seed, self.steps, config, practised, evaluation)
            self.json.write_text(f"{json.dumps(value, indent=1)}\n", encoding="utf-8")

    def config(self) -> "PracticeConfig":
        """What is recommended, with everything that was said otherwise."""
        from tolaria.practice.presets import preset

        config = preset(self.env, self.steps, self.memory)
        config = replace(
            config,
            envs=_said(self.envs, config.envs),
            rollout_steps=_said(self.rollout_steps, config.rollout_steps),
            segment_steps=_said(self.segment_steps, config.segment_steps),
            normalize_observations=_said(self.normalize, config.normalize_observations),
            penalty=self.penalty,
        )
        return replace(config, ppo=self._ppo(config))

    def _ppo(self, config: "PracticeConfig") -> "PpoConfig":
        ppo = config.ppo
        if self.batch_size is not None:
            if not 1 <= self.batch_size <= config.rows:
                raise ConfigError("batch-size", self.batch_size, f"from 1 to the {config.rows} rows of an update")
            ppo = replace(ppo, minibatches=-(-config.rows // self.batch_size))
        if self.decay is not None:
            updates = -(-self.steps // config.rows) if self.decay else None
            ppo = replace(ppo, lr_decay_updates=updates, clip_decay_updates=updates)
        return replace(
            ppo,
            epochs=_said(self.epochs, ppo.epochs),
            lr=_said(self.lr, ppo.lr),
            clip=_said(self.clip, ppo.clip),
            gamma=_said(self.gamma, ppo.gamma),
            gae_lambda=_said(self.gae_lambda, ppo.gae_lambda),
            entropy_coef=_said(self.entropy_coef, ppo.entropy_coef),
            normalize_rewards=_said(self.normalize, ppo.normalize_rewards),
        )


def _said(value: T | None, recommended: T) -> T:
    return recommended if value is None else value


@contextlib.contextmanager
def _watched(steps: int) -> "Iterator[tuple[Callable[[Progress], None], Interruption]]":
    """A bar on a terminal and some lines elsewhere, on stderr; and Ctrl-C as a wish."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from tolaria.practice.record import recent_return
    from tolaria.practice.training import Episode

    console = Console(stderr=True)
    columns = (TextColumn("{task.completed:,} of {task.total:,} steps"), BarColumn(), TextColumn("{task.description}", markup=False))
    bar = Bar(*columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console, transient=True,
              disable=not console.is_terminal)  # fmt: skip
    task = bar.add_task("", total=steps)
    episodes: list[Episode] = []

    def follow(progress: "Progress") -> None:
        before = int(bar.tasks[0].completed)
        episodes.extend(progress.episodes)
        mean = recent_return(episodes)
        told = "no episode is over yet" if mean is None else f"return {mean:.4g}"
        bar.update(task, completed=min(progress.steps, steps), description=told)
        if not console.is_terminal and progress.steps * LINES // steps > before * LINES // steps:
            _say(console, f"{progress.steps:,} of {steps:,} steps, {told}")

    with interruptible(lambda: _say(console, "stopping after this update; once more to stop at once", "yellow")) as interruption, bar:
        yield follow, interruption


def _tell(practised: "Practised", evaluation: "Evaluation | None") -> None:
    from rich.console import Console

    from tolaria.practice.record import RECENT, recent_return

    console = Console()
    mean = recent_return(practised.episodes)
    last = "no episode was over" if mean is None else f"return {mean:.4g} in the last {min(RECENT, len(practised.episodes))} of them"
    _say(console, f"practice: {practised.steps:,} steps, {len(practised.episodes):,} episodes, {last}")
    undone = [report.skipped or report.restored for report in practised.reports if report.skipped or report.restored]
    if undone:
        _say(console, f"note: {len(undone)} of {len(practised.reports)} updates were undone, the last because {undone[-1]}", "yellow")
    if evaluation is not None:
        told = f"{evaluation.mean:.4g} ± {evaluation.std:.3g}, from {min(evaluation.returns):.4g} to {max(evaluation.returns):.4g}"
        _say(console, f"evaluation: return {told} in {len(evaluation.returns)} new episodes", "bold")


def _draw(title: str, practised: "Practised", path: Path) -> None:
    try:
        from tolaria.practice.picture import draw
    except ModuleNotFoundError as error:
        raise ConfigError("picture", f"no module {error.name}", "an installation with pictures: pip install 'tolaria[reports]'") from None
    draw({title: {"": [(episode.at, episode.reward) for episode in practised.episodes]}}, path)


def _say(console: "Console", text: str, style: str = "") -> None:
    # As it is: not folded, not coloured by its content.
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
