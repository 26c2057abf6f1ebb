"""Owners of temporary files and locks: the process that made one, and whether it still runs."""

import hashlib
import os
import re
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import final

_TAG = re.compile(r"(?P<pid>\d+)-(?P<started>\d+)-(?P<host>[0-9a-f]{8})")


@final
@dataclass(frozen=True)
class Owner:
    """A process of some machine. Its start time distinguishes it from a later process with the same number."""

    pid: int
    started: int
    """Clock ticks from the start of the machine to that of the process; 0 when the system does not provide it."""
    host: str
    """Digest of the machine's name, since names may be long."""

    @property
    def tag(self) -> str:
        """Text that identifies the process, for use in file names."""
        return f"{self.pid}-{self.started}-{self.host}"

    @property
    def dead(self) -> bool:
        """True when the process is known to have ended; False for one of another machine, which cannot be checked."""
        if self.host != _digest(hostname()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            return False
        state, now = _state(self.pid)
        return state in ("Z", "X") or bool(self.started and now and now != self.started)


def current_owner() -> Owner:
    """Return this process as an owner."""
    return Owner(os.getpid(), _state(os.getpid())[1], _digest(hostname()))


def parse_tag(text: str) -> Owner | None:
    """Return the owner with the tag `text`; None for any other text."""
    found = _TAG.fullmatch(text)
    return Owner(int(found["pid"]), int(found["started"]), found["host"]) if found else None


def hostname() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


@cache
def _digest(host: str) -> str:
    return hashlib.sha256(host.encode(errors="replace")).hexdigest()[:8]


def _state(pid: int) -> tuple[str, int]:
    """Return the state of a process ("Z": ended, "": unknown) and its start time in clock ticks."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])  # the 3rd and 22nd field of proc(5); the 2nd, in brackets, may contain blanks
    except (OSError, IndexError, ValueError):  # not Linux, or it has just ended
        return "", 0
