"""The whole life of a seed, in one table.

A slot of the host is DORMANT until a seed germinates in it. The seed then learns without touching the host
(TRAINING), is mixed in (BLENDING), is judged at its target strength (HOLDING) and is committed for good
(FOSSILIZED), or it is removed (PRUNED) and the slot rests (EMBARGOED, RESETTING) before it is DORMANT again.

Everything that decides which stage may follow which is in `TRANSITIONS`, and nothing else is. Gates (`gates.py`)
say why a *possible* move may not happen *now*; they never add a move.
"""

from enum import StrEnum

from tolaria.errors import TolariaError


class Stage(StrEnum):
    """Where a slot stands in its life."""

    DORMANT = "dormant"
    GERMINATED = "germinated"
    TRAINING = "training"
    BLENDING = "blending"
    HOLDING = "holding"
    FOSSILIZED = "fossilized"
    PRUNED = "pruned"
    EMBARGOED = "embargoed"
    RESETTING = "resetting"


class Move(StrEnum):
    """What may happen to a slot; ELAPSE is the passing of time."""

    GERMINATE = "germinate"
    ADVANCE = "advance"
    RETARGET = "retarget"
    FOSSILIZE = "fossilize"
    PRUNE = "prune"
    ELAPSE = "elapse"


class IllegalMove(TolariaError):
    """The table has no such move from this stage; nothing was changed."""

    def __init__(self, stage: Stage, move: Move) -> None:
        super().__init__(f"no move {move.name} from stage {stage.name}")
        self.stage = stage
        self.move = move


TRANSITIONS: dict[tuple[Stage, Move], Stage] = {
    (Stage.DORMANT, Move.GERMINATE): Stage.GERMINATED,
    (Stage.GERMINATED, Move.ADVANCE): Stage.TRAINING,
    (Stage.GERMINATED, Move.PRUNE): Stage.PRUNED,
    (Stage.TRAINING, Move.ADVANCE): Stage.BLENDING,
    (Stage.TRAINING, Move.PRUNE): Stage.PRUNED,
    (Stage.BLENDING, Move.ADVANCE): Stage.HOLDING,
    (Stage.BLENDING, Move.PRUNE): Stage.PRUNED,
    (Stage.HOLDING, Move.FOSSILIZE): Stage.FOSSILIZED,
    (Stage.HOLDING, Move.RETARGET): Stage.BLENDING,
    (Stage.HOLDING, Move.PRUNE): Stage.PRUNED,
    (Stage.PRUNED, Move.ELAPSE): Stage.EMBARGOED,
    (Stage.EMBARGOED, Move.ELAPSE): Stage.RESETTING,
    (Stage.RESETTING, Move.ELAPSE): Stage.DORMANT,
}

# A live seed of these stages is experimental: a rollback prunes it.
EXPERIMENTAL = frozenset({Stage.GERMINATED, Stage.TRAINING, Stage.BLENDING, Stage.HOLDING})
# In these stages a seed module exists in the slot.
OCCUPIED = EXPERIMENTAL | {Stage.FOSSILIZED}
# In these stages the slot rests after a prune.
RESTING = frozenset({Stage.PRUNED, Stage.EMBARGOED, Stage.RESETTING})


def next_stage(stage: Stage, move: Move) -> Stage:
    """The stage that follows; raises `IllegalMove` when the table has none."""
    try:
        return TRANSITIONS[stage, move]
    except KeyError:
        raise IllegalMove(stage, move) from None


def is_possible(stage: Stage, move: Move) -> bool:
    """Whether the table knows the move from this stage."""
    return (stage, move) in TRANSITIONS
