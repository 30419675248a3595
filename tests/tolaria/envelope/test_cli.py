from pathlib import Path

import pytest

from tolaria.envelope.cli import Envelope
from tolaria.errors import ConfigError


@pytest.mark.parametrize("given", [Envelope(steps=10), Envelope(seeds=0), Envelope(picture=Path("map.jpg"))])
def test_what_cannot_be_measured_is_refused_before_anything_is_recorded(given: Envelope) -> None:
    with pytest.raises(ConfigError):
        given.run()


def test_a_detector_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"governor\.detectors"):
        Envelope(detectors="non_finite,magic").run()
