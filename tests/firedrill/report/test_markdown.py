import re
from dataclasses import replace

import pytest

from firedrill.compare.compared import Change, Compared, MetricClass
from firedrill.report.markdown import LENGTH_MAX, MARKER, code, plain, render
from firedrill.runner.result import CellResult, Run
from firedrill.runner.verdict import Verdict

CHANGED = Compared("kill-relu[cpu,12]", "verdict", MetricClass.EXACT, Change.REGRESSION, "recovered", "missed")
SAME = Compared("fossil", "verdict", MetricClass.EXACT, Change.UNCHANGED, "recovered", "recovered")


def run_of(results: tuple[CellResult, ...]) -> Run:
    where = ("2026-01-02T03:04:05+00:00", "Linux x86_64, 2 cores", {"torch": "2.13.0"})
    return Run(*where, results, machine_class="linux-x86_64-2-cores", commit="4be1c99")


def verdicts_of(text: str) -> dict[str, str]:
    """The verdict of every cell that the list of all verdicts names."""
    listed = text[text.index("Every verdict") :].partition("</details>")[0]
    lines = re.findall(r"^\*\*([a-z ]+)\*\* \(\d+\): (.*)$", listed, re.MULTILINE)
    return {name: verdict for verdict, names in lines for name in re.findall("`([^`]+)`", names)}


def test_the_verdict_comes_first_then_what_changed_then_detail(results: tuple[CellResult, ...]) -> None:
    text = render(run_of(results), [SAME, CHANGED])
    assert text.startswith(f"{MARKER}\n## ✗ 3 of 8 cells did not end as expected\n")
    parts = ["✗ 3 not as expected · ◇ 1 known gap", "- `kill-relu[cpu,12]` missed, expected recovered or fail stop"]
    parts += ["Against the base: 1 regression, 1 unchanged.", "| **regression** | `kill-relu[cpu,12]` | verdict | recovered | missed |"]
    parts += ["Every verdict (8 cells)", "Findings and how to run it again", "the row of the penalty is found one rollout late"]
    places = [text.find(part) for part in [*parts, "linux-x86_64-2-cores"]]
    assert -1 not in places
    assert places == sorted(places)


def test_a_run_that_was_cut_short_says_so_at_the_top(results: tuple[CellResult, ...]) -> None:
    text = render(replace(run_of(results), complete=False), None)
    assert text.index("The run was cut short") < text.index("### Not as expected")
    assert "cut short" not in render(run_of(results), None)


def test_without_a_base_it_says_so(results: tuple[CellResult, ...]) -> None:
    assert "There was nothing to compare with." in render(run_of(results), None)


def test_every_verdict_is_named_with_its_cells(results: tuple[CellResult, ...]) -> None:
    assert verdicts_of(render(run_of(results), [])) == {
        code(result.id).strip("`"): result.verdict.name.lower().replace("_", " ") for result in results
    }


@pytest.mark.parametrize("red", [0, 1, 50, 500])
def test_500_cells_stay_within_the_limit_and_keep_every_verdict(results: tuple[CellResult, ...], red: int) -> None:
    fossil, wrong = results[0], results[2]
    many = tuple(
        replace(
            wrong if i < red else fossil, id=f"scenarios/of-a-rather-long-name/that-goes-on-and-on-{i:03}[cpu,seed={i}]", because="x" * 200
        )
        for i in range(500)
    )
    changes = [replace(CHANGED, subject=result.id, detail="d" * 300) for result in many[: max(red, 20)]]
    text = render(run_of(many), changes)
    assert len(text) <= LENGTH_MAX
    found = verdicts_of(text)
    assert len(found) == 500
    assert sum(verdict == "wrong recovery" for verdict in found.values()) == red
    assert f"Against the base: {max(red, 20)} regression." in text
    if red == 500:
        assert re.search(r"\d+ of 500 had no room here", text)


def test_names_are_shortened_before_one_is_left_out(fossil: CellResult) -> None:
    many = tuple(replace(fossil, id=f"{'n' * 200}{i:04}", verdict=Verdict.MASKED if i % 2 else Verdict.RECOVERED) for i in range(2000))
    text = render(run_of(many), None)
    assert len(text) <= LENGTH_MAX
    found = verdicts_of(text)
    assert len(found) == 2000
    assert all(name.endswith(("1", "3", "5", "7", "9")) == (verdict == "masked") for name, verdict in found.items())


def test_too_many_to_name_are_counted(fossil: CellResult) -> None:
    text = render(run_of(tuple(replace(fossil, id=f"{'n' * 40}{i:05}") for i in range(9000))), None)
    assert len(text) <= LENGTH_MAX
    assert "**recovered** (9000): not named, they are too many" in text


def test_text_from_outside_is_neither_markup_nor_a_mention(fossil: CellResult) -> None:
    nasty = "<!-- x --> @someone #1 [a](http://b) `c`\n# head | **d** https://e"
    text = render(run_of((replace(fossil, passed=False, because=nasty, reason=nasty, id=f"`{nasty}`"),)), None)
    outside = re.sub("`[^`\n]*`", "", text.replace(MARKER, ""))
    for markup in ("<!--", "@someone", " #1", "[a]", "**d**", "://"):
        assert markup not in outside
    assert not re.search(r"^# head", text, re.MULTILINE)


def test_plain_text_and_code() -> None:
    assert plain("a_b @c\n<d> |") == "a_b &#64;c &#60;d&#62; &#124;"
    assert code("a`b|c\nd") == "`a'b/c d`"
