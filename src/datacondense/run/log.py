"""log.jsonl of a run directory: iteration, loss and seconds, one JSON value a line."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO, final

from ..utils.atomic import write_bytes
from ..utils.errors import DamagedFile
from ..utils.files import parse_json
from ..utils.paths import regular
from ..utils.schema import check
from .records import LogEntry

LOG = "log.jsonl"


@final
class Log:
    """Appends lines, which reach the disk once a second, on `flush` and on closing."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._flushed = time.perf_counter()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append one line."""
        self._file.write(json.dumps(entry) + "\n")
        if time.perf_counter() - self._flushed > 1:
            self.flush()

    def flush(self) -> None:
        """Hand all lines to the operating system."""
        self._file.flush()
        self._flushed = time.perf_counter()


def open_log(run: Path) -> Log:
    """Return the log of a run directory, to append to."""
    return Log((run / LOG).open("a"))


def trim_log(run: Path, iterations: int) -> None:
    """Drop log lines past `iterations`, and all lines from one that a crash has cut short."""
    path = run / LOG
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            entry = check(parse_json(line), LogEntry)
        except ValueError:  # also of a field that is not as declared
            break
        if entry.iteration > iterations:
            break
        kept.append(line)
    write_bytes(path, b"".join(kept))


def read_log(run: Path) -> list[LogEntry]:
    """Return the entries of a run's log, in order; none without a log.

    Raises:
        DamagedFile: A line is not JSON, or a field is not as declared; the message names file, line and field.
    """
    path = run / LOG
    entries = []
    for number, line in enumerate(regular(path).read_bytes().splitlines() if path.exists() else [], start=1):
        place = f"{path} is damaged: line {number} is not an iteration of a run"
        try:
            entries.append(check(parse_json(line), LogEntry, place))
        except DamagedFile:
            raise
        except ValueError as error:
            raise DamagedFile(f"{place}: {error}") from None
    return entries
