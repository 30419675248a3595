"""What was measured on a device, beside what it is to reach: a table in the terminal, and one of the page."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from firedrill.bench.figures import DeviceRecord, Figure
from firedrill.report.maps import Field, Map
from firedrill.report.wording import Tone

SYMBOLS = {True: "✓", False: "✗", None: ""}
TONES = {True: Tone.GOOD, False: Tone.BAD, None: Tone.SILENT}


def figures_table(figures: Sequence[Figure]) -> Table:
    """One row a figure; the symbol says whether it holds, so that colour is not needed."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for heading in ("figure", "params", "measured", "target", ""):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for one in figures:
        table.add_row(one.name, _size(one.params), _value(one), str(one.target or ""), SYMBOLS[one.holds])
    return table


def figures_map(record: DeviceRecord) -> Map:
    """A row a question, a column a size of the model."""
    sizes = sorted({one.params for one in record.figures})
    names = list(dict.fromkeys(one.name for one in record.figures))
    known = {(one.name, one.params): one for one in record.figures}
    nothing = Field("", "not measured", None)
    rows = [(name, tuple(_field(known[name, size]) if (name, size) in known else nothing for size in sizes)) for name in names]
    note = f"Medians; ✓ the target is reached, ✗ it is not, nothing where none was set. {record.machine.get('device', '')}"
    return Map("On the device: measured beside the targets", note.strip(), tuple(map(_size, sizes)), tuple(rows))


def verdict(figures: Sequence[Figure]) -> str:
    """The last line: "24 targets: 23 hold, 1 missed"."""
    judged = [one.holds for one in figures if one.holds is not None]
    return f"{len(judged)} targets: {judged.count(True)} hold, {judged.count(False)} missed"


def _field(one: Figure) -> Field:
    target = f", target {one.target}" if one.target else ", no target"
    return Field(
        f"{_value(one)} {SYMBOLS[one.holds]}".strip(), f"{one.name}: {_value(one)}{target}, {len(one.samples)} samples", TONES[one.holds]
    )


def _value(one: Figure) -> str:
    return f"{one.value:{'.0f' if abs(one.value) >= 100 else '.3g'}} {one.unit}".strip()


def _size(params: int) -> str:
    return f"{params / 1e6:g}M"
