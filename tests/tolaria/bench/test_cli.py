import pytest

from tolaria.cli import main


@pytest.mark.parametrize("arguments", [["bench", "--help"], ["bench", "credit", "--help"]])
def test_every_experiment_says_what_it_measures(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    assert "Example: tolaria bench" in capsys.readouterr().out


def test_an_experiment_must_be_named() -> None:
    with pytest.raises(SystemExit) as left:
        main(["bench"])
    assert left.value.code == 2
