import io

from rich.console import Console

from firedrill.campaign.compare import Column, Measured
from firedrill.report.mechanisms import CODES, endings, legend, markdown, summary, tables
from firedrill.runner.verdict import Verdict


def measured(scenario: str, mechanism: str, verdict: Verdict, loss: float | None = 0.2) -> Measured:
    column = Column("plain_loop", mechanism)  # type: ignore[arg-type]
    return Measured(scenario, "because", column, verdict, "reason", loss, 1.0, True, True, "fd1.x.y")


FOUND = [
    measured("loops/nan-weight", "tolaria", Verdict.RECOVERED),
    measured("loops/nan-weight", "clip_norm", Verdict.SILENT_CORRUPTION, None),
    measured("loops/big-gradient", "tolaria", Verdict.RECOVERED),
    measured("loops/big-gradient", "clip_norm", Verdict.AVERTED),
    measured("loops/bad-data", "tolaria", Verdict.FAIL_STOP),
]


def shown(width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for table in (*tables(FOUND), legend(FOUND), summary(FOUND)):
        console.print(table)
    return console.export_text()


def test_every_verdict_has_a_short_word_of_its_own() -> None:
    assert set(CODES) == set(Verdict)
    assert len({*CODES.values()}) == len(Verdict)


def test_a_row_is_a_scenario_and_a_column_a_mechanism() -> None:
    lines = [" ".join(line.split()) for line in shown().splitlines()]
    assert "nan-weight ● rec ■ cor" in lines
    assert "big-gradient ● rec ● avt" in lines
    assert "bad-data ● stp" in lines


def test_the_legend_names_what_is_seen_and_nothing_else() -> None:
    assert legend(FOUND).split("   ") == ["■ cor silent corruption", "● stp fail stop", "● rec recovered", "● avt averted"]


def test_the_summary_counts_how_the_scenarios_ended() -> None:
    counts = endings(FOUND)
    assert [*counts[Column("plain_loop", "tolaria")].values()] == [2, 1]
    assert "plain_loop+tolaria 2 1 0 0 0" in [" ".join(line.split()) for line in shown().splitlines()]


def test_the_page_has_whole_words_and_what_they_mean() -> None:
    page = markdown(FOUND)
    assert "| `loops/nan-weight` | ● recovered | ■ silent corruption |" in page
    assert "| `loops/bad-data` | ● fail stop |  |" in page
    assert "* ● **averted**: The fault does harm where nobody is in its way, and did none here." in page
