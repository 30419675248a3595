import json
from pathlib import Path

import pytest

from tolaria.bench import learning
from tolaria.bench.learning import Lesson
from tolaria.bench.ppo_cli import PpoBench
from tolaria.errors import ConfigError


@pytest.mark.parametrize("bar", [-100.0, 100.0])
def test_the_exit_code_says_whether_a_bar_is_missed(
    bar: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(learning, "LESSONS", (Lesson("t-maze", "tolaria/TMaze-v0", 100, 2, bar),))
    record, picture = tmp_path / "ppo.json", tmp_path / "ppo.png"
    assert PpoBench(only="t-maze", json=record, picture=picture).run() == int(bar > 0.0)
    value = json.loads(record.read_text())
    assert ([cell["passed"] for cell in value["cells"]], value["complete"]) == ([bar < 0.0] * 2, True)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.count("t-maze") == 2


@pytest.mark.parametrize("wrong", [{"only": "cartpole,chess"}, {"picture": Path("map.jpg")}, {"json": Path("nowhere/map.json")}])
def test_what_cannot_be_measured_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        PpoBench(**wrong).run()
