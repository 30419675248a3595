import string

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tolaria.errors import ConfigError
from tolaria.tasks.pydoc_lm import pydoc_lm
from tolaria.tasks.stdlib_lm import stdlib_lm
from tolaria.tasks.task import Split, Task
from tolaria.tasks.text import ALPHABET, PARAGRAPH, VOCABULARY, apart, digest_of, encode, some, split_documents, windows

TASKS = [pydoc_lm, stdlib_lm]

paragraphs = st.text("ab \n", min_size=1).filter(lambda text: PARAGRAPH not in text and text.strip())
documents = st.dictionaries(st.text("xyz", min_size=1, max_size=3), st.lists(paragraphs).map(PARAGRAPH.join), min_size=5, max_size=8)


def read(split: Split) -> str:
    """The characters of the windows again."""
    return "".join("?" if token == 0 else ALPHABET[token - 1] for token in split.inputs.flatten().tolist())


@pytest.mark.parametrize("build", TASKS)
def test_the_text_is_real_and_large(build: type[Task]) -> None:
    text = read(build().train)
    assert len(text) > 70_000
    # Quotation marks of print, and question marks themselves.
    assert text.count("?") < 0.01 * len(text)
    assert " the " in text
    assert text.count("import") > 10


@pytest.mark.parametrize("build", TASKS)
def test_no_window_stands_in_two_splits(build: type[Task]) -> None:
    train, validation, test = (
        {row.numpy().tobytes() for row in split.inputs} for split in (build().train, build().validation, build().test)
    )
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_windows_that_another_split_has_too_are_left_out() -> None:
    stars = torch.full((1, 3), 7)
    split = Split(torch.cat([stars, torch.tensor([[1, 2, 3]])]), torch.cat([stars, torch.tensor([[2, 3, 4]])]))
    left = apart(split, Split(stars, stars))
    assert (left.inputs.tolist(), left.targets.tolist()) == ([[1, 2, 3]], [[2, 3, 4]])


@pytest.mark.parametrize("build", TASKS)
def test_a_target_is_the_character_that_follows(build: type[Task]) -> None:
    train = build().train
    assert torch.equal(train.inputs[:, 1:], train.targets[:, :-1])
    # And the last one of a window is the first one of the next.
    assert torch.equal(train.inputs[1:, 0], train.targets[:-1, -1])


@pytest.mark.parametrize("build", TASKS)
def test_a_task_says_which_text_it_was(build: type[Task]) -> None:
    assert len(build().digest) == 64
    assert set(build().digest) <= set(string.hexdigits)


@given(documents)
def test_no_paragraph_stands_in_two_splits(collection: dict[str, str]) -> None:
    parts = [{piece.strip() for piece in text.split(PARAGRAPH) if piece.strip()} for text in split_documents(collection)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    whole = {piece.strip() for text in collection.values() for piece in text.split(PARAGRAPH) if piece.strip()}
    assert set().union(*parts) == whole


def test_whole_documents_are_shared_out_sixty_twenty_twenty() -> None:
    train, validation, test = split_documents({f"d{number}": f"text {number}" for number in range(10)})
    assert [text.count("text") for text in (train, validation, test)] == [6, 2, 2]


def test_characters_beyond_the_alphabet_are_one_token() -> None:
    assert encode("\n a\u00e9\t\U0001f600").tolist() == [1, 2, ALPHABET.index("a") + 1, 0, 0, 0]
    assert int(encode(ALPHABET).max()) == VOCABULARY - 1


def test_a_text_that_fills_no_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="4 characters"):
        windows(encode("abcd"), 4)
    assert windows(encode("abcde"), 4).targets.tolist() == [encode("bcde").tolist()]


def test_some_windows_come_from_everywhere() -> None:
    split = Split(torch.arange(9)[:, None], torch.arange(9)[:, None])
    assert some(split, 3).inputs.flatten().tolist() == [0, 4, 8]
    assert some(split, 99).inputs.flatten().tolist() == list(range(9))


def test_the_digest_is_of_names_and_texts_and_where_they_part() -> None:
    digest = digest_of({"a": "bc", "d": "e"})
    assert digest == digest_of({"d": "e", "a": "bc"})
    others: list[dict[str, str]] = [{"ab": "c", "d": "e"}, {"a": "bc", "d": "f"}, {"a": "bc"}, {"a": "b", "cd": "e"}]
    assert digest not in {digest_of(other) for other in others}
