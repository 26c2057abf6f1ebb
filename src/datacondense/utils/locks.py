"""One process at a time writes to a run, an export or a cache entry: locks that name who holds them.

The lock is the operating system's on an open file (`filelock`), which it gives up when the holder ends, however that
comes about. Who holds it stands in the file. Where a file system knows no such locks, a marker file takes their place.
"""

import errno
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
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
from .owner import hostname, of_tag, ours
from .paths import regular, require_file, resolved

_POLL = 0.05  # seconds
_BRIEFLY = 3.0  # seconds that another may still need to end what it does
_UNKNOWN = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
"""How file systems without such locks answer."""
_COMMAND = 200  # characters


@final
@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    tag: str
    """The process, as `owner` writes it."""
    pid: int
    host: str
    command: str
    since: str
    """Local time."""
    launch: str = ""
    """The launch of several processes that it belongs to."""

    @staticmethod
    def us() -> "Holder":
        """Return this process as a holder."""
        command = shlex.join([Path(sys.argv[0]).name or "python", *sys.argv[1:]])[:_COMMAND]
        mark = torchrun.mark() or {}
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return Holder(ours().tag, os.getpid(), hostname(), command, since, mark.get("id", ""))

    @staticmethod
    def read(file: Path) -> "Holder | None":
        """Return who holds or has held the lock `file`; None where nobody stands in it."""
        try:
            return msgspec.json.decode(regular(file).read_bytes(), type=Holder)
        except (OSError, InputError, msgspec.DecodeError):  # being written, or of a process that was killed just then
            return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command}, since {self.since})"


@final
class _Held:
    """A lock that a thread of this process holds, how many times over."""

    def __init__(self, descriptor: int, marker: SoftFileLock | None) -> None:
        self.descriptor = descriptor
        self.marker = marker
        self.thread = threading.get_ident()
        self.times = 1


_held: dict[Path, _Held] = {}


def _forget() -> None:
    """In a forked process: the locks are the parent's, and end with it."""
    for held in _held.values():
        with suppress(OSError):
            os.close(held.descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def writing(
    directory: Path, *, wait: float = _BRIEFLY, stop: Callable[[], None] = lambda: None, cached: bool = False
) -> Iterator[None]:
    """Inside, no other process writes to `directory`. It is made where it is missing, and goes if it stays empty.

    A thread that has the lock gets it again. wait: seconds after which another's lock is an error.
    stop: called while waiting; what it raises ends that. cached: the directory holds what can be made again, so that
    the lock of an unknown process of another machine does not count.
    Raises Locked where another process or thread has the lock, and where one of another machine may have it.
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
                with suppress(OSError):  # it is not empty
                    directory.rmdir()


@contextmanager
def alone(directory: Path, processes: Processes) -> Iterator[None]:
    """As `writing`, for several processes that share the work: the leading one has the lock, and all its error."""
    with ExitStack() as stack:

        def lock() -> None:
            stack.enter_context(writing(directory))

        processes.agreed(lock)
        yield


def writer(directory: Path) -> Holder | None:
    """Return who writes to `directory` now, as far as that can be seen without writing to it."""
    holder = Holder.read(resolved(directory) / LOCK)
    owner = of_tag(holder.tag) if holder else None
    return holder if owner and not owner.dead and owner != ours() else None


@contextmanager
def replacing(path: Path, *, wait: float = _BRIEFLY) -> Iterator[None]:
    """As `writing`, for a file or directory that is replaced as a whole: its lock lies beside it."""
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
) -> Iterator[None]:
    """Hold the lock `file`, which keeps others from writing to `what`. Arguments and errors: as `writing` has them."""
    held = _held.get(file)
    if held and held.thread == threading.get_ident():
        held.times += 1
        try:
            yield
        finally:
            held.times -= 1
        return
    with ExitStack() as stack:
        held = _acquired(file, what, time.monotonic() + wait, stop, cached=cached)
        stack.callback(_release, file, held)
        _held[file] = held
        yield


def _acquired(file: Path, what: Path, until: float, stop: Callable[[], None], *, cached: bool) -> _Held:
    """Take the lock, and write down who has it."""
    while True:
        held = _attempt(file)
        if held:
            before = Holder.read(file)
            if before and not cached and not _gone(before):
                _let_go(held)
                raise Locked(
                    f"{what} may be in use by {before}, which cannot be asked from here: if it has ended, delete {file}"
                )
            os.ftruncate(held.descriptor, 0)
            os.pwrite(held.descriptor, msgspec.json.encode(Holder.us()) + b"\n", 0)
            return held
        if time.monotonic() >= until:
            raise Locked(
                f"{what} is being written by {Holder.read(file) or 'another process'}: wait until that has ended, "
                f"or name another"
            )
        stop()
        time.sleep(_POLL)


def _gone(holder: Holder) -> bool:
    """Whether a holder that no longer has the lock has ended: a machine without common locks would not know."""
    owner, mark = of_tag(holder.tag), torchrun.mark() or {}
    ours_again = bool(holder.launch) and holder.launch == mark.get("id")  # torchrun starts anew when all have ended
    return ours_again or holder.host == hostname() or bool(owner and owner.dead)


def _attempt(file: Path) -> _Held | None:
    """The lock, if nobody has it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor, marker = os.open(file, flags, 0o666), None
    except FileNotFoundError:  # another process has made the directory, and has deleted it because it stayed empty
        if file.parent.is_dir():  # it takes no file, as in /proc
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
            free = _marked(marker)
        if free and _is_at(descriptor, file):
            return _Held(descriptor, marker)
    except BaseException:
        os.close(descriptor)
        raise
    if free and marker:
        marker.release()
    os.close(descriptor)  # and with it the lock on a file that its last holder has deleted
    return None


def _marked(marker: SoftFileLock) -> bool:
    try:
        marker.acquire()
    except Timeout:
        return False
    return True


def _is_at(descriptor: int, file: Path) -> bool:
    """Whether the open file is the one that the others find by its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _release(file: Path, held: _Held) -> None:
    if _held.get(file) is not held:  # it is the parent's, and this is a forked process
        return
    del _held[file]
    if _is_at(held.descriptor, file):
        with suppress(OSError):  # a directory that nothing may be deleted from: an empty record is as good
            os.ftruncate(held.descriptor, 0)
            file.unlink()  # while it is locked: whoever has opened it finds out that it is gone
    _let_go(held)


def _let_go(held: _Held) -> None:
    os.close(held.descriptor)
    if held.marker:
        held.marker.release()
