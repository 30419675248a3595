"""Maps: what was exercised, and what is noticed how soon, as tables whose fields are coloured and say the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from firedrill.report.coverage import SYMBOLS, TOPOLOGIES
from firedrill.report.wording import Tone

STATE_TONES = {"pass": Tone.GOOD, "known-gap": Tone.DOUBTFUL, "fail": Tone.BAD, "not-run": Tone.SILENT, "n/a": None}
# Steps after its onset until a fault is a collapse: at once, soon, and rather late.
SOON, LATE = 2, 15


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a map; `title` says in words what the text says in short. No tone: no news."""

    text: str
    title: str
    tone: Tone | None


@dataclass(frozen=True, slots=True)
class Map:
    """A table of fields. The first column names the row."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Field, ...]], ...]


def coverage_map(document: dict[str, Any]) -> Map:  # JSON has no types.
    """Of what `firedrill coverage --json` wrote: a row for every fault and phase on the CPU, a column for every topology."""
    rows: dict[str, dict[str, list[Field]]] = {}
    signs = {state.value: symbol for state, symbol in SYMBOLS.items()}
    for cell in document["cells"]:
        if cell["device"] == "cpu":
            field = Field(signs[cell["state"]], f"{cell['detectors']}: {cell['state']}, {cell['why']}", STATE_TONES[cell["state"]])
            rows.setdefault(f"{cell['fault']}, {cell['phase']}", {}).setdefault(cell["topology"], []).append(field)
    topologies = [topology.value for topology in TOPOLOGIES]
    note = f"First sign: a detector answered; second: none did. {', '.join(f'{sign} {state}' for state, sign in signs.items())}."
    table = tuple((name, tuple(_merged(fields.get(topology, ())) for topology in topologies)) for name, fields in rows.items())
    return Map("Coverage: faults by topology, on the CPU", note, tuple(topologies), table)


def envelope_map(document: dict[str, Any]) -> Map:  # JSON has no types.
    """Of what `tolaria envelope --json` wrote: a row for every fault and magnitude, a column for every model before it."""
    suite = document["suite"]
    cells = document["cells"][suite]
    columns = tuple(dict.fromkeys(cell["baseline"] for cell in cells))
    rows: dict[str, dict[str, Field]] = {}
    for cell in cells:
        rows.setdefault(f"{cell['shape']} {_magnitude(cell['magnitude'])} {cell['unit']}", {})[cell["baseline"]] = _delay(cell)
    nothing = Field("", "the model was as bad before", None)
    table = tuple((name, tuple(fields.get(column, nothing) for column in columns)) for name, fields in rows.items())
    note = "Median steps from the onset of a fault to the collapse; n/m: noticed in n of m trials; –: never. L0 is the loss of a guess."
    return Map(f"Envelope of the suite {suite}", note, columns, table)


def _magnitude(value: float | str) -> str:
    # Words stand for what is not finite, and shares close to 1 differ far behind the point.
    return value if isinstance(value, str) else f"{value:.8g}" if value < 1 else f"{value:.3g}"


def _delay(cell: dict[str, Any]) -> Field:  # JSON has no types.
    trials = f"{cell['noticed']} of {cell['trials']}"
    if not cell["noticed"]:
        return Field("–", f"never noticed in {cell['trials']} trials", Tone.BAD)
    if cell["noticed"] < cell["trials"]:
        return Field(f"{cell['noticed']}/{cell['trials']}", f"noticed in {trials} trials by {cell['cause']}", Tone.DOUBTFUL)
    tone = Tone.GOOD if cell["delay"] <= SOON else Tone.SILENT if cell["delay"] <= LATE else Tone.DOUBTFUL
    return Field(f"{cell['delay']:g}", f"{cell['delay']:g} steps, at most {cell['delay_max']}, by {cell['cause']}", tone)


def _merged(fields: Sequence[Field]) -> Field:
    """Two answers of the detectors in one field, coloured by the worse one."""
    order = (Tone.BAD, Tone.DOUBTFUL, Tone.SILENT, Tone.GOOD, None)
    worst = min((field.tone for field in fields), key=order.index, default=None)
    return Field(" ".join(field.text for field in fields), "; ".join(field.title for field in fields), worst)
