"""The rollout buffer: rows by environment, and what they teach.

    begin(state)      the recurrent state with which the rollout begins
    remember(...)     one row for each executed step
    charge(...)       the row of a step that collapsed, whose penalty earlier rows may share
    mark(state)       here a segment begins, which is unrolled from this state
    finish(...)       values for the ends that were cut off; now advantages are known
    clear()           the next rollout

Rewards are stored raw. What learns from them divides by the running spread of returns, which changes only in `finish`; a
death penalty is neither divided nor counted, on whichever row, so it is the same number whatever the rewards are.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tolaria.policy.policy import JSON, RecurrentState
from tolaria.ppo.advantages import gae, spread
from tolaria.ppo.config import PpoConfig
from tolaria.ppo.normalizer import ReturnNormalizer
from tolaria.ppo.penalty import Cause, Charged, Price, shares
from tolaria.ppo.row import Row
from tolaria.ppo.saved_rows import row_facts, row_tensors, saved_rows
from tolaria.ppo.stacked import Stacked, flags, numbers, stack

# What is kept of the spread that deaths made, from one rollout to the next.
DEATH_SPREAD_KEPT = 0.98


class RolloutBuffer:
    """Environments are numbered 0 to N - 1; one that is retired simply stops giving rows."""

    def __init__(self, num_envs: int, horizon: int, config: PpoConfig) -> None:
        self.num_envs = num_envs
        self.horizon = horizon
        self.normalizer = ReturnNormalizer(config.gamma)
        self.price = Price(config.penalty)
        # What deaths made advantages differ by, halved in about 35 rollouts.
        self.death_spread = 0.0
        self._config = config
        self._rows: list[list[Row]] = [[] for _ in range(num_envs)]
        self._marks: list[_Mark] = []
        self._finished = False

    @property
    def num_rows(self) -> int:
        """How many rows are kept."""
        return sum(map(len, self._rows))

    @property
    def num_penalized(self) -> int:
        """How many rows collapsed."""
        return sum(row.penalized for rows in self._rows for row in rows)

    def rows(self, env: int) -> tuple[Row, ...]:
        """The rows of one environment, oldest first."""
        return tuple(self._rows[env])

    def begin(self, state: RecurrentState | None) -> None:
        """Start a rollout; `state` is what the policy carries now (`Policy.recurrent_state`)."""
        assert self.num_rows == 0, "the last rollout is not cleared"
        self._marks = [] if state is None else [_Mark((0,) * self.num_envs, state)]

    def mark(self, state: RecurrentState) -> None:
        """Cut the rows here: those that follow are unrolled from `state`, with which they were decided, and by no longer way."""
        assert self._marks, "the rollout began without a recurrent state"
        self._marks.append(_Mark(tuple(map(len, self._rows)), state))

    def remember(self, env: int, row: Row) -> None:
        """Keep one executed step. The row after the end of a segment is fresh, and no other but the first may be."""
        assert not self._finished, "the rollout is finished"
        rows = self._rows[env]
        assert len(rows) < self.horizon, f"environment {env} has {len(rows)} rows already"
        assert not rows or row.fresh == rows[-1].ended, f"step {row.step} of environment {env}"
        rows.append(row)

    def charge(self, env: int, row: Row, causes: Sequence[Cause]) -> Charged:
        """Keep the row of a step that collapsed, which owes the whole penalty as its reward, and divide that as the config says."""
        assert row.penalized, f"step {row.step} of environment {env} did not collapse"
        rows = self._rows[env]
        amount = row.reward * self.price.factor(self.normalizer.scale)
        begins = self._life_begins(env, row.life)
        places = {earlier.step: begins + index for index, earlier in enumerate(rows[begins:])}
        divided = shares(amount, row.step, causes, tuple(places), self._config.penalty_attribution)
        self.remember(env, replace(row, reward=divided[-1].amount))
        for share in divided[:-1]:
            place = places[share.step]
            rows[place] = replace(rows[place], share=rows[place].share + share.amount)
        return Charged(amount, divided)

    def forget(self, env: int) -> None:
        """Drop what one environment did in this rollout; the control arm of the credit experiment, and of no other use."""
        assert not self._finished, "the rollout is finished"
        self._rows[env] = []
        # The next row is fresh, so that it does not matter with which state its segment begins.
        self._marks = [_Mark((*mark.starts[:env], 0, *mark.starts[env + 1 :]), mark.state) for mark in self._marks]

    def finish(self, next_values: Mapping[int, float]) -> None:
        """Give every end that was cut off by the horizon the value of the state after it; a missing one raises."""
        assert not self._finished, "the rollout is finished"
        unfinished = [env for env, rows in enumerate(self._rows) if rows and not rows[-1].ended]
        missing = [env for env in unfinished if env not in next_values]
        assert not missing, f"no value for environments {missing}"
        for env in unfinished:
            self._rows[env][-1] = replace(self._rows[env][-1], bootstrap=next_values[env])
        for env, rows in enumerate(self._rows):
            for row in rows:
                if row.penalized:
                    self.normalizer.skip(env)
                else:
                    self.normalizer.observe(env, row.reward, row.ended)
        self.normalizer.finish_rollout()
        self.price.learn(self.num_rows, self.num_penalized)
        self._finished = True
        self.death_spread *= DEATH_SPREAD_KEPT
        if self.num_penalized:
            self.death_spread = max(self.death_spread, self._spread())

    def clear(self) -> None:
        """Forget every row and every mark on it; the running spread of returns stays."""
        self._rows = [[] for _ in range(self.num_envs)]
        self._marks = []
        self._finished = False

    @property
    def rewards(self) -> Tensor:
        """The rewards that teach [T, N], float64: divided by the spread of returns, penalties as they are."""
        scale = self.normalizer.scale if self._config.normalize_rewards else 1.0
        return self._numbers([[row.reward if row.penalized else row.reward / scale + row.share for row in rows] for rows in self._rows])

    @property
    def values(self) -> Tensor:
        """What was expected when the rows were decided [T, N], float64; 0 where the controller does not learn."""
        return self._numbers([[0.0 if row.record is None else row.record.value for row in rows] for rows in self._rows])

    @property
    def advantages(self) -> Tensor:
        """Advantages [T, N], float64; computed from the rows as they are, after every penalty is in."""
        assert self._finished, "the rollout is not finished"
        length = max(map(len, self._rows))
        # The end of the rollout cuts a segment as a time limit does.
        cut = [[row.truncated or (row is rows[-1] and not row.terminated) for row in rows] for rows in self._rows]
        return gae(
            rewards=self.rewards,
            values=self.values,
            terminated=flags([[row.terminated for row in rows] for rows in self._rows], length),
            cut=flags(cut, length),
            bootstraps=self._numbers([[row.bootstrap for row in rows] for rows in self._rows]),
            gamma=self._config.gamma,
            gae_lambda=self._config.gae_lambda,
        )

    def stacked(self) -> Stacked:
        """The decisions as tensors to unroll, a column for each segment; only for controllers that learn."""
        assert self._marks, "the rollout began without a recurrent state"
        hidden, cell = zip(*(mark.state for mark in self._marks), strict=True)
        return stack([self._rows[env][start:stop] for env, start, stop in self._segments()], (torch.cat(hidden), torch.cat(cell)))

    def by_column(self, grid: Tensor) -> Tensor:
        """Something [T, N] of the rows in the columns of `stacked`, zero where there is no row."""
        return pad_sequence([grid[start:stop, env] for env, start, stop in self._segments()])

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a rollout, however far it is."""
        tensors = {name: tensor for env, rows in enumerate(self._rows) for name, tensor in row_tensors(env, rows).items()}
        for i, mark in enumerate(self._marks):
            tensors |= {f"state.{i}.hidden": mark.state[0].clone(), f"state.{i}.cell": mark.state[1].clone()}
        return tensors

    def facts(self) -> dict[str, JSON]:
        """The rest of the state."""
        rows: list[JSON] = [[row_facts(row) for row in rows] for rows in self._rows]
        starts: list[JSON] = [list(mark.starts) for mark in self._marks]
        own: dict[str, JSON] = {"normalizer": self.normalizer.facts(), "price": self.price.facts(), "death_spread": self.death_spread}
        return {"rows": rows, "starts": starts, "finished": self._finished, **own}

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, JSON]) -> None:
        """Put back what `tensors` and `facts` gave."""
        columns = cast("list[list[Mapping[str, JSON]]]", facts["rows"])
        assert len(columns) == self.num_envs, len(columns)
        self._rows = [saved_rows(env, column, tensors) for env, column in enumerate(columns)]
        self._marks = [
            _Mark(tuple(starts), (tensors[f"state.{i}.hidden"].clone(), tensors[f"state.{i}.cell"].clone()))
            for i, starts in enumerate(cast("list[list[int]]", facts["starts"]))
        ]
        self._finished = cast("bool", facts["finished"])
        self.normalizer.restore(cast("Mapping[str, JSON]", facts["normalizer"]))
        self.price.restore(cast("Mapping[str, JSON]", facts["price"]))
        self.death_spread = cast("float", facts["death_spread"])

    def _spread(self) -> float:
        """How far the advantages of a rollout with deaths lie apart; 0 for rows that no learner decided."""
        decided = [[row.record is not None and not row.record.forced for row in rows] for rows in self._rows]
        penalized = [[row.charged for row in rows] for rows in self._rows]
        length = max(map(len, self._rows))
        found = spread(self.advantages, flags(decided, length), flags(penalized, length))
        # A number that is none skips the update, and leaves no trace here.
        return found if math.isfinite(found) else 0.0

    def _life_begins(self, env: int, life: int) -> int:
        """The index of the first row after everything that is no longer of this life."""
        rows = self._rows[env]
        return next((index + 1 for index in reversed(range(len(rows))) if rows[index].ended or rows[index].life != life), 0)

    def _numbers(self, columns: list[list[float]]) -> Tensor:
        return numbers(columns, max(map(len, self._rows)))

    def _segments(self) -> Iterator[tuple[int, int, int]]:
        """Environment, first row and end of every segment, the segments of one mark beside each other."""
        ends = [*(mark.starts for mark in self._marks[1:]), tuple(map(len, self._rows))]
        for mark, stops in zip(self._marks, ends, strict=True):
            yield from zip(range(self.num_envs), mark.starts, stops, strict=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Mark:
    """Where segments begin: the row of each environment, and the recurrent state of all of them."""

    starts: tuple[int, ...]
    state: RecurrentState
