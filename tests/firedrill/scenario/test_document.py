import math

import pytest

from firedrill.scenario.document import Node, read, scalar
from firedrill.scenario.problem import Problem


def problem(text: str | bytes) -> Problem:
    """The one problem of a text."""
    _, problems = read("it.yaml", text.encode() if isinstance(text, str) else text)
    (found,) = problems
    return found


def place(text: str | bytes) -> tuple[str, int, int]:
    found = problem(text)
    return found.code, found.line, found.column


def root(text: str) -> Node:
    node, problems = read("it.yaml", text.encode())
    assert problems == []
    assert node is not None
    return node


def test_values_follow_yaml_1_2() -> None:
    text = 'a: on\nb: 3e-4\nc: 12\nd: true\ne: ~\nf: "12"\ng: 2024-01-01\nh: [1, x]\n'
    expected = {"a": "on", "b": 3e-4, "c": 12, "d": True, "e": None, "f": "12", "g": "2024-01-01", "h": [1, "x"]}
    assert root(text).plain() == expected


@pytest.mark.parametrize(("word", "expected"), [("inf", math.inf), ("-inf", -math.inf), (".inf", math.inf)])
def test_infinity_is_a_plain_word(word: str, expected: float) -> None:
    assert scalar(word) == expected


def test_nan_is_a_plain_word_and_quoted_it_is_text() -> None:
    plain = root("a: nan\nb: 'nan'\n").plain()
    assert isinstance(plain, dict)
    assert str(plain["a"]) == "nan"
    assert isinstance(plain["a"], float)
    assert plain["b"] == "nan"


def test_a_number_that_python_would_not_read_stays_text() -> None:
    assert scalar("9" * 5000) == "9" * 5000


def test_places_count_from_one() -> None:
    value = root("a:\n  - b: 7\n").value
    assert isinstance(value, dict)
    items = value["a"].node.value
    assert isinstance(items, list)
    inner = items[0].value
    assert isinstance(inner, dict)
    assert (inner["b"].key.line, inner["b"].key.column, inner["b"].node.column) == (2, 5, 8)


def test_a_syntax_error_has_its_place() -> None:
    assert place("a: 1\nb: c: d\n") == ("FD001", 2, 5)


def test_a_forbidden_character_has_its_place() -> None:
    assert place("a: 1\nb: \x01\n") == ("FD001", 2, 4)


def test_bytes_that_are_no_text_have_their_line() -> None:
    assert place(b"a: 1\nb: \xff\n") == ("FD001", 2, 1)


def test_a_second_document_is_refused() -> None:
    assert place("a: 1\n---\nb: 2\n") == ("FD001", 2, 1)


@pytest.mark.parametrize("text", ["", "- a\n", "word\n", "# only a comment\n"])
def test_only_a_mapping_is_a_scenario(text: str) -> None:
    assert place(text) == ("FD011", 1, 1)


def test_a_key_that_stands_twice_names_its_first_line() -> None:
    found = problem("a: 1\nb:\n  c: 1\n  c: 2\n")
    assert (found.code, found.line, found.column) == ("FD002", 4, 3)
    assert "line 3" in found.expected


@pytest.mark.parametrize(
    ("text", "line", "column", "tag"),
    [
        ("a: !!python/object/apply:os.system ['true']\n", 1, 4, "!!python/object/apply:os.system"),
        ("a:\n  - !!str 7\n", 2, 5, "!!str"),
        ("!thing\na: 1\n", 1, 1, "!thing"),
        ("a: {!!python/name:os.system b: 1}\n", 1, 5, "!!python/name:os.system"),
    ],
)
def test_a_tag_is_refused_wherever_it_stands(text: str, line: int, column: int, tag: str) -> None:
    found = problem(text)
    assert (found.code, found.line, found.column) == ("FD003", line, column)
    assert tag in found.message


def test_an_alias_stands_for_its_anchor() -> None:
    assert root("a: &x {b: 1}\nc: *x\n").plain() == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_alias_bomb_is_refused_before_it_unfolds() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 5)}]" for i in range(1, 10)]
    assert place("\n".join(lines)) == ("FD004", 6, 15)


def test_few_aliases_to_much_are_refused_too() -> None:
    lines = [f"a0: &a0 [{', '.join(['x'] * 900)}]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 9))]
    assert place("\n".join(lines)) == ("FD004", 5, 10)


def test_many_aliases_to_little_are_refused() -> None:
    assert place("a: &x 1\nb:\n" + "  - *x\n" * 33) == ("FD004", 35, 5)


def test_an_alias_to_itself_is_refused() -> None:
    assert place("a: &x [1, *x]\n") == ("FD001", 1, 11)


def test_deep_nesting_is_refused() -> None:
    assert place("a: " + "[" * 500) == ("FD004", 1, 24)


def test_a_large_file_is_refused_unread() -> None:
    assert place("a: " + "x" * 256_000) == ("FD004", 1, 1)


def test_merge_keys_are_refused() -> None:
    assert place("a: &x {b: 1}\nc:\n  <<: *x\n") == ("FD010", 3, 3)
