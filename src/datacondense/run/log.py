"""Reads log.jsonl of a run directory."""

from pathlib import Path

from ..utils.errors import DamagedFile
from ..utils.files import parse_json
from ..utils.paths import regular
from ..utils.schema import check
from .directory import LOG
from .records import LogEntry


def read_log(run: Path) -> list[LogEntry]:
    """Return the entries of a run's log, in order; none where there is no log.

    Raises:
        DamagedFile: A line is not JSON, or a field is not as declared; the message names file, line and field.
    """
    path = run / LOG
    entries = []
    for number, line in enumerate(regular(path).read_bytes().splitlines() if path.exists() else [], start=1):
        place = f"{path} is damaged: line {number} is no iteration of a run"
        try:
            entries.append(check(parse_json(line), LogEntry, place))
        except DamagedFile:
            raise
        except ValueError as error:
            raise DamagedFile(f"{place}: {error}") from None
    return entries
