"""Where results are to go, looked at before anything is measured: hours of work are not lost for a folder that is not there."""

from pathlib import Path

from tolaria.errors import ConfigError


def check_destinations(json: Path | None, picture: Path | None) -> None:
    """Raises `ConfigError` for a file that cannot be written where it is to go, and for a picture in another format than PNG."""
    if picture is not None and picture.suffix != ".png":
        raise ConfigError("picture", str(picture), "a name that ends in .png")
    for option, path in (("json", json), ("picture", picture)):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise ConfigError(option, str(path), "a file in a folder that exists")
