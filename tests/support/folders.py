"""Folders of pictures, and what reading them leaves in the cache."""

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from datacondense import InputError, load
from datacondense.utils import cache


class Told:
    """Progress that remembers what was done, and how many times."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        self.last[what] = done, total


def picture(path: Path, colour: int | tuple[int, ...] = 0, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def birds(root: Path, count: int = 6) -> Path:
    """Two classes of `count` pictures each; picture i holds the value 10 i."""
    for name in ("owl", "wren"):
        for i in range(count):
            picture(root / name / f"{i}.png", (10 * i, 1, 2))
    return root


def packed(root: Path, path: Path, inside: str = "", **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, inside + str(file.relative_to(root)))
    return path


def refusal(place: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(f"folder:{place}", **options)
    assert "\n" not in str(caught.value)
    assert left() == []
    return str(caught.value)


def left() -> list[Path]:
    """All files in the cache."""
    return [path for path in cache.folder().rglob("*") if path.is_file()]
