"""Locks that let one process at a time write to a run, an export or a cache entry, and that name their holder.

The lock is the operating system's lock on an open file (`filelock`), which is released whenever the holder ends. The
file names the holder. On file systems without such locks, a marker file takes their place.
"""

import errno
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

import msgspec
from filelock import SoftFileLock, Timeout, lock_descriptor

from . import torchrun
from .atomic import LOCK, parents
from .distributed import Processes
from .errors import InputError, Locked, naming
from .file_owner import current_owner, hostname, parse_tag
from .paths import regular, require_file, resolved

_POLL = 0.05  # seconds
_BRIEFLY = 3.0  # seconds that another process may need to finish
_UNKNOWN = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
"""Errors of file systems without such locks."""
_COMMAND = 200  # characters


@final
@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    tag: str
    """The process, as `Owner.tag`."""
    pid: int
    host: str
    command: str
    since: str
    """Local time at which it took the lock."""
    launch: str = ""
    """Identity of its torchrun launch; empty without one."""

    @staticmethod
    def current() -> "Holder":
        """Return this process as a holder."""
        command = shlex.join([Path(sys.argv[0]).name or "python", *sys.argv[1:]])[:_COMMAND]
        mark = torchrun.mark() or {}
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return Holder(current_owner().tag, os.getpid(), hostname(), command, since, mark.get("id", ""))

    @staticmethod
    def read(file: Path) -> "Holder | None":
        """Return the holder or last holder of the lock `file`; None when the file names none."""
        try:
            return msgspec.json.decode(regular(file).read_bytes(), type=Holder)
        except (OSError, InputError, msgspec.DecodeError):  # half-written, by a process that runs or was killed
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command}, since {self.since})"


@final
class _Held:
    """A lock that a thread of this process holds, and the number of times that the thread has taken it."""

    def __init__(self, descriptor: int, marker: SoftFileLock | None) -> None:
        self.descriptor = descriptor
        self.marker = marker
        self.thread = threading.get_ident()
        self.times = 1


_held: dict[Path, _Held] = {}


def _forget() -> None:
    """Drop the locks in a forked process: they belong to the parent."""
    for held in _held.values():
        with suppress(OSError):
            os.close(held.descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def writing(
    directory: Path, *, wait: float = _BRIEFLY, stop: Callable[[], None] = lambda: None, cached: bool = False
) -> Generator[None]:
    """Keep other processes from writing to `directory`. Create it when it is missing; remove it if it stays empty.

    A thread may take the same lock several times. wait: seconds to wait for the lock. stop: called while waiting; it
    may raise an error to stop. cached: the directory holds data that can be made again, so that the lock of an unknown
    process of another machine is ignored.
    Raise Locked when another process or thread has the lock, or when one of another machine may have it.
    """
    directory = resolved(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file: name a directory")
    with parents(directory):
        made = not directory.exists()
        if made:
            directory.mkdir(exist_ok=True)
        try:
            with locked(directory / LOCK, directory, wait=wait, stop=stop, cached=cached):
                yield
        finally:
            if made:
                with suppress(OSError):  # not empty
                    directory.rmdir()


@contextmanager
def alone(directory: Path, processes: Processes) -> Generator[None]:
    """Lock `directory` as `writing` does, for processes that share the work: the leading one takes the lock."""
    with ExitStack() as stack:

        def lock() -> None:
            stack.enter_context(writing(directory))

        processes.agreed(lock)
        yield


def writer(directory: Path) -> Holder | None:
    """Return the process that writes to `directory` now, as far as that is visible without writing to it."""
    holder = Holder.read(resolved(directory) / LOCK)
    owner = parse_tag(holder.tag) if holder else None
    return holder if owner and not owner.dead and owner != current_owner() else None


@contextmanager
def replacing(path: Path, *, wait: float = _BRIEFLY) -> Generator[None]:
    """Lock a file or directory that is replaced as a whole, as `writing` does; the lock lies beside it."""
    path = resolved(path)
    with parents(path), locked(path.with_name(f".{path.name}{LOCK}"), path, wait=wait):
        yield


@contextmanager
def locked(
    file: Path,
    what: Path,
    *,
    wait: float = _BRIEFLY,
    stop: Callable[[], None] = lambda: None,
    cached: bool = False,
) -> Generator[None]:
    """Hold the lock `file`, which keeps others from writing to `what`. Arguments and errors are those of `writing`."""
    held = _held.get(file)
    if held and held.thread == threading.get_ident():
        held.times += 1
        try:
            yield
        finally:
            held.times -= 1
        return
    with ExitStack() as stack:
        held = _acquire(file, what, time.monotonic() + wait, stop, cached=cached)
        stack.callback(_release, file, held)
        _held[file] = held
        yield


def _acquire(file: Path, what: Path, until: float, stop: Callable[[], None], *, cached: bool) -> _Held:
    """Take the lock, and record the holder in it."""
    while True:
        held = _attempt(file)
        if held:
            before = Holder.read(file)
            if before and not cached and not _gone(before):
                _close(held)
                raise Locked(
                    f"{what} may be in use by {before}, which cannot be checked from here: "
                    f"if it has ended, delete {file}"
                )
            try:
                os.ftruncate(held.descriptor, 0)
                os.pwrite(held.descriptor, msgspec.json.encode(Holder.current()) + b"\n", 0)
            except BaseException:  # a full disk: nobody would release the lock
                _close(held)
                raise
            return held
        if time.monotonic() >= until:
            raise Locked(
                f"{what} is being written by {Holder.read(file) or 'another process'}: wait until that has ended, "
                f"or name another"
            )
        stop()
        time.sleep(_POLL)


def _gone(holder: Holder) -> bool:
    """Return True when a holder without the lock has ended; file systems without shared locks leave this open."""
    owner, mark = parse_tag(holder.tag), torchrun.mark() or {}
    same_launch = bool(holder.launch) and holder.launch == mark.get("id")  # torchrun starts anew when all have ended
    return same_launch or holder.host == hostname() or bool(owner and owner.dead)


def _attempt(file: Path) -> _Held | None:
    """Return the lock when it is free; None otherwise."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor, marker = os.open(file, flags, 0o666), None
    except FileNotFoundError:  # another process made the directory and deleted it, as it stayed empty
        if file.parent.is_dir():  # files cannot be created there, as in /proc
            raise
        file.parent.mkdir(parents=True, exist_ok=True)
        return None
    try:
        with naming(file):
            require_file(os.fstat(descriptor))
        try:
            free = lock_descriptor(descriptor, blocking=False)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
            marker = SoftFileLock(file.with_name(f"{file.name}ed"), timeout=0, thread_local=False)
            free = _acquire_marker(marker)
        if free and _is_at(descriptor, file):
            return _Held(descriptor, marker)
    except BaseException:
        os.close(descriptor)
        raise
    if free and marker:
        marker.release()
    os.close(descriptor)  # releases the lock on a file that its last holder has deleted
    return None


def _acquire_marker(marker: SoftFileLock) -> bool:
    try:
        marker.acquire()
    except Timeout:
        return False
    return True


def _is_at(descriptor: int, file: Path) -> bool:
    """Return True when the open file is still the one at the path `file`."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _release(file: Path, held: _Held) -> None:
    if _held.get(file) is not held:  # it belongs to the parent of this forked process
        return
    del _held[file]
    if _is_at(held.descriptor, file):
        with suppress(OSError):  # nothing may be deleted in this directory: an empty file serves as well
            os.ftruncate(held.descriptor, 0)
            file.unlink()  # while locked: a process that has opened it notices that it is gone
    _close(held)


def _close(held: _Held) -> None:
    os.close(held.descriptor)
    if held.marker:
        held.marker.release()
