"""Every known pitfall is covered, impossible or admitted, and docs/coverage-of-pitfalls.md says which; here is what it must be like."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "coverage-of-pitfalls.md").read_text(encoding="utf-8")

ROW = re.compile(r"\| (H?)(\d+) \| ([^|]+) \| ([^|]+) \|")
DECLARED = re.compile(r"\| ([^|]+) \| (H?)(\d+) to H?(\d+) \| (\d+) \| (\d+) \| (\d+) \|")
TOTAL = re.compile(r"\| all \| (\d+) rows \| (\d+) \| (\d+) \| (\d+) \|")
TARGETS = re.compile(r"`[^`]+`(, `[^`]+`)*")
# Two words are no reason.
REASON = re.compile(r"(cannot happen here|open): \S+ \S+ \S.*")


def sections(page: str) -> dict[str, list[tuple[str, str]]]:
    """The rows of each section, as key and answer."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    tables = zip(parts[1::2], parts[2::2], strict=True)
    return {title: [(prefix + number, answer) for prefix, number, _, answer in ROW.findall(text)] for title, text in tables}


def kind(answer: str) -> str:
    """Which of the three answers it is, or none of them."""
    if TARGETS.fullmatch(answer):
        return "covered"
    match = REASON.fullmatch(answer)
    return match.group(1) if match else "neither covered, impossible nor open"


def miscounted(page: str) -> Iterator[str]:
    """Sections whose rows are not those that the table at the top declares; and gaps between sections."""
    found = sections(page)
    declared = DECLARED.findall(page)
    last: dict[str, int] = {}
    total = Counter[str]()
    for title, prefix, begin, end, *counts in declared:
        keys, kinds = [key for key, _ in found.get(title, [])], Counter(kind(answer) for _, answer in found.get(title, []))
        if keys != [f"{prefix}{number}" for number in range(int(begin), int(end) + 1)]:
            yield f"{title}: {prefix}{begin} to {prefix}{end} are declared, {', '.join(keys)} are there"
        if [kinds["covered"], kinds["cannot happen here"], kinds["open"]] != [int(count) for count in counts]:
            yield f"{title}: {dict(kinds)}"
        if int(begin) != last.get(prefix, 0) + 1:
            yield f"{title} does not begin where the section before it ends"
        last[prefix] = int(end)
        total.update(kinds)
    sums = [str(total.total()), *(str(total[name]) for name in ("covered", "cannot happen here", "open"))]
    if list(TOTAL.findall(page)) != [tuple(sums)]:
        yield f"all: {', '.join(sums)}"
    yield from (f"{title} is not declared" for title in found if found[title] and title not in {name for name, *_ in declared})


def unanswered(page: str) -> Iterator[str]:
    """Rows without an answer, and answers that point nowhere."""
    for key, answer in (row for rows in sections(page).values() for row in rows):
        if kind(answer) == "covered":
            yield from (f"{key}: {target} does not exist" for target in re.findall(r"`([^`]+)`", answer) if not exists(target))
        elif kind(answer) not in {"cannot happen here", "open"}:
            yield f"{key} is {kind(answer)}: {answer}"


def exists(target: str) -> bool:
    """Whether there is such a test, or such a scenario."""
    path, _, name = target.partition("::")
    if not (path.startswith("scenarios/") and path.endswith(".yaml") and not name):
        return path.startswith("tests/") and name.startswith("test_") and name in functions_in(path)
    return (ROOT / path).is_file()


@cache
def functions_in(path: str) -> frozenset[str]:
    """The functions that a file defines; none where there is no file."""
    if not (ROOT / path).is_file():
        return frozenset()
    return frozenset(node.name for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef))


def test_every_row_is_there_and_counted() -> None:
    assert list(miscounted(PAGE)) == []


def test_every_row_is_answered_and_every_target_exists() -> None:
    assert list(unanswered(PAGE)) == []


def test_every_headline_scenario_is_covered() -> None:
    (headlines,) = [rows for title, rows in sections(PAGE).items() if title.startswith("H.")]
    assert [(key, kind(answer)) for key, answer in headlines] == [(f"H{number}", "covered") for number in range(1, 21)]


SAMPLE = """
| section | rows | covered | cannot happen here | open |
| --- | --- | --- | --- | --- |
| H. First | H1 to H1 | 1 | 0 | 0 |
| 1. Second | 1 to 3 | 1 | 1 | 1 |
| all | 4 rows | 2 | 1 | 1 |

## H. First

| H1 | a | `scenarios/nan/nan-momentum.yaml` |

## 1. Second

| 1 | b | `tests/test_pitfalls.py::test_every_row_is_there_and_counted`, `scenarios/nan/nan-gradient.yaml` |
| 2 | c | cannot happen here: there is none |
| 3 | d | open: nobody has tried |
"""


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("is_there_and_counted", "is_here"),
        ("test_pitfalls.py", "test_no_such.py"),
        ("nan-momentum.yaml", "nan-moment.yaml"),
        ("nan-gradient.yaml", "nan-grade.yaml"),
        (": there is none", ":"),
        ("cannot happen here: there is none", ""),
        ("| 2 | c | cannot happen here: there is none |\n", ""),
        ("| 3 | d | open: nobody has tried |\n", ""),
        ("| 2 | c", "| 1 | c"),
        ("| 1 | 1 | 1 |", "| 2 | 1 | 0 |"),
        ("1 to 3", "1 to 4"),
        ("| all | 4", "| all | 5"),
        ("## 1. Second", "## 2. Second"),
        ("| 1. Second | 1 to 3 | 1 | 1 | 1 |\n", ""),
    ],
)
def test_a_page_that_is_wrong_in_one_place_is_complained_about(good: str, bad: str) -> None:
    assert [*miscounted(SAMPLE), *unanswered(SAMPLE)] == []
    assert SAMPLE.count(good) == 1
    wrong = SAMPLE.replace(good, bad)
    assert [*miscounted(wrong), *unanswered(wrong)] != []


def test_sections_follow_each_other_without_a_gap() -> None:
    shifted = SAMPLE.replace("1 to 3", "2 to 4").replace("| 3 | d", "| 4 | d").replace("| 2 | c", "| 3 | c").replace("| 1 | b", "| 2 | b")
    assert list(miscounted(shifted)) == ["1. Second does not begin where the section before it ends"]


def test_nothing_empties_the_cache_of_the_allocator() -> None:
    """It stalls the device and fragments its memory."""
    modules = [path for package in ("src/tolaria", "harness/firedrill") for path in (ROOT / package).rglob("*.py")]
    assert [str(path) for path in modules if "empty_cache" in path.read_text(encoding="utf-8")] == []
