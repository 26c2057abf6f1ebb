"""The header of an exported directory."""

from pathlib import Path
from typing import Any

from ..files import read_json
from ..records import Marker
from ..schema import check

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
