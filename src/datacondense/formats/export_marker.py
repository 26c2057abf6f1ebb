"""The marker of an exported directory: datacondense.json."""

from pathlib import Path
from typing import Any

from ..synthetic.set_path import MARKER
from ..utils.files import read_json
from ..utils.schema import Count, Fields, Line, Name, check


class MarkerFields(Fields, kw_only=True):
    """datacondense.json of an export. Its `header` is checked as that of a set."""

    layout: Line = ""
    sets: Count | None = None
    folders: list[Name] | None = None
    sha256: Line | None = None


SEVERAL = "several "
"""Start of the layout of a directory of several exports; their format follows."""


def has_marker(path: Path) -> bool:
    """Return whether a directory is an export."""
    return (path / MARKER).is_file()


def read_marker(path: Path) -> dict[str, Any] | None:
    """Return the marker of an exported directory; None if there is none. Raises DamagedFile when damaged."""
    marker = path / MARKER
    if not marker.is_file():
        return None
    record = read_json(marker)
    check(record, MarkerFields, f"{marker} is damaged")
    return record
