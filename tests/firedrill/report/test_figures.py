from rich.console import Console

from firedrill.bench.figures import ARRIVED, KEPT, DeviceRecord, Figure
from firedrill.report.figures import figures_map, figures_table, verdict
from firedrill.report.wording import Tone

FIGURES = (
    Figure(KEPT, 1_000_000, 24.96, "µs", (24.0, 24.96, 26.0)),
    Figure(KEPT, 100_000, 25.5, "µs", (25.5,)),
    Figure(ARRIVED, 100_000, 1234.0, "µs", (1234.0,)),
)


def test_the_page_has_a_row_a_question_and_a_column_a_size_and_says_what_was_aimed_at() -> None:
    shown = figures_map(DeviceRecord({"device": "an imagined one"}, {}, FIGURES))
    assert shown.columns == ("0.1M", "1M")
    assert [(name, [(field.text, field.tone) for field in fields]) for name, fields in shown.rows] == [
        (KEPT, [("25.5 µs ✗", Tone.BAD), ("25 µs ✓", Tone.GOOD)]),
        (ARRIVED, [("1234 µs", Tone.SILENT), ("", None)]),
    ]
    assert shown.rows[0][1][0].title == f"{KEPT}: 25.5 µs, target at most 25, 1 samples"
    assert shown.note.endswith("an imagined one")


def test_the_terminal_has_a_row_a_figure() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(figures_table(FIGURES))
    lines = [line.split() for line in captured.get().splitlines()[2:]]
    assert [line[-1] for line in lines] == ["✓", "✗", "µs"]
    assert [line[-5:-1] for line in lines[:2]] == [["µs", "at", "most", "25"]] * 2


def test_the_last_line_counts_targets_only() -> None:
    assert verdict(FIGURES) == "2 targets: 1 hold, 1 missed"
