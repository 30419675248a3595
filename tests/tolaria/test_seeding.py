import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tolaria.seeding import derive_seed, stream

NAMES = st.lists(st.one_of(st.text(alphabet="abc019", max_size=4), st.integers(0, 20)), max_size=4)


def test_a_derived_seed_is_the_same_on_every_machine() -> None:
    # First 8 bytes of sha256("7\x1fstr:env\x1fint:0"), little end first, halved.
    assert derive_seed(7, "env", 0) == 8717225443629198231
    assert derive_seed(0) == 2033344993903900207


def test_a_stream_is_the_same_on_every_machine() -> None:
    assert stream(7, "env", 0).integers(0, 1000, 5).tolist() == [69, 123, 15, 195, 131]


@given(st.integers(0, 2**40), NAMES)
def test_a_derived_seed_fits_into_every_generator(seed: int, names: list[str | int]) -> None:
    assert 0 <= derive_seed(seed, *names) < 2**63


@given(NAMES, NAMES)
def test_different_names_give_different_seeds(one: list[str | int], other: list[str | int]) -> None:
    assert (derive_seed(1, *one) == derive_seed(1, *other)) == (one == other)


def test_a_number_is_not_its_text() -> None:
    assert derive_seed(1, "env", 1) != derive_seed(1, "env", "1")


def test_names_do_not_run_into_each_other() -> None:
    assert derive_seed(1, "ab", "c") != derive_seed(1, "a", "bc")


def test_the_seed_of_the_run_matters() -> None:
    assert derive_seed(1, "env") != derive_seed(2, "env")


def test_drawing_from_one_stream_shifts_no_other() -> None:
    undisturbed = stream(3, "env", 1).random(4).tolist()
    neighbour, mine = stream(3, "env", 0), stream(3, "env", 1)
    drawn = []
    for _ in range(4):
        neighbour.random(100)
        drawn.append(mine.random())
    assert drawn == undisturbed


def test_streams_leave_numpys_own_generator_alone() -> None:
    # The global generator is looked at here because nothing of ours may move it.
    before = str(np.random.get_state())  # noqa: NPY002 - the state is read, nothing is drawn
    stream(3, "env", 1).random(4)
    assert str(np.random.get_state()) == before  # noqa: NPY002 - see above
