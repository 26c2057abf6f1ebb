"""The header of an exported directory."""

from pathlib import Path
from typing import Any

from ..utils.files import read_json
from ..utils.schema import (
    Count,
    Fields,
    Line,
    Name,
    check,
)


class Marker(Fields, kw_only=True):
    """datacondense.json of an export. header: as in `Header`, which is checked beside it."""

    layout: Line = ""
    sets: Count | None = None
    folders: list[Name] | None = None
    sha256: Line | None = None


MARKER = "datacondense.json"
"""Its name. ImageFolder readers pass over files in the root."""
SEVERAL = "several "
"""How the layout begins that the header of a directory of several exports has; their format follows."""


def read_marker(path: Path) -> dict[str, Any] | None:
    """What the header of an exported directory says; None where there is none. Raises DamagedFile when damaged."""
    marker = path / MARKER
    if not marker.is_file():
        return None
    record = read_json(marker)
    check(record, Marker, f"{marker} is damaged")
    return record
