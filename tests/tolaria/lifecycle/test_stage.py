import pytest

from tolaria.errors import TolariaError
from tolaria.lifecycle.stage import EXPERIMENTAL, OCCUPIED, RESTING, TRANSITIONS, IllegalMove, Move, Stage, is_possible, next_stage

# Written out a second time and by hand, so that no slip of the table goes unseen: one line a stage, "." for nothing.
COLUMNS = (Move.GERMINATE, Move.ADVANCE, Move.RETARGET, Move.FOSSILIZE, Move.PRUNE, Move.ELAPSE)
EXPECTED = """
dormant     germinated .        .        .          .      .
germinated  .          training .        .          pruned .
training    .          blending .        .          pruned .
blending    .          holding  .        .          pruned .
holding     .          .        blending fossilized pruned .
fossilized  .          .        .        .          .      .
pruned      .          .        .        .          .      embargoed
embargoed   .          .        .        .          .      resetting
resetting   .          .        .        .          .      dormant
"""
PAIRS = {
    (Stage(row.split()[0]), move): None if after == "." else Stage(after)
    for row in EXPECTED.split("\n")
    if row
    for move, after in zip(COLUMNS, row.split()[1:], strict=True)
}


def test_every_pair_of_stage_and_move_is_expected_here() -> None:
    assert set(PAIRS) == {(stage, move) for stage in Stage for move in Move}


@pytest.mark.parametrize(("stage", "move"), PAIRS, ids=lambda value: value.value)
def test_a_move_leads_where_it_is_said_to_lead_or_is_illegal(stage: Stage, move: Move) -> None:
    after = PAIRS[stage, move]
    assert is_possible(stage, move) == (after is not None)
    if after is not None:
        assert next_stage(stage, move) is after
        return
    with pytest.raises(IllegalMove) as illegal:
        next_stage(stage, move)
    assert str(illegal.value) == f"no move {move.name} from stage {stage.name}"
    assert (illegal.value.stage, illegal.value.move) == (stage, move)


def test_an_illegal_move_is_one_of_our_errors() -> None:
    assert issubclass(IllegalMove, TolariaError)


def test_nothing_leaves_fossilized() -> None:
    assert not any(stage is Stage.FOSSILIZED for stage, _ in TRANSITIONS)


def test_every_stage_is_reached_from_dormant() -> None:
    reached = {Stage.DORMANT}
    for _ in Stage:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(Stage)


def test_every_stage_is_empty_occupied_or_resting() -> None:
    assert {Stage.DORMANT} | OCCUPIED | RESTING == set(Stage)
    assert len(OCCUPIED) + len(RESTING) + 1 == len(Stage)


def test_exactly_the_experimental_stages_can_be_pruned() -> None:
    assert {stage for stage in Stage if is_possible(stage, Move.PRUNE)} == EXPERIMENTAL


def test_stages_and_moves_are_told_by_their_names() -> None:
    assert all(word.value == word.name.lower() for words in (Stage, Move) for word in words)
