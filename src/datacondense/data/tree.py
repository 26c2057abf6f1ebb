"""What lies in a folder or in a zip file: the names of its images, and their content when it is asked for."""

import hashlib
import os
import re
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from ..errors import InputError
from .decode import MOST_BYTES

EXTENSIONS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".ico", ".jp2", ".j2k", ".avif"),
)
"""Files with one of these, in any case, are images."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_SYSTEMS = "__MACOSX"


@final
@dataclass(frozen=True)
class Tree:
    """Files and folders by their paths relative to the root, with "/"; hidden ones are left out."""

    place: str
    """What the root is called, where a user is told of it."""
    files: list[str]
    """Paths of all images, sorted."""
    folders: frozenset[str]
    """Paths of all folders at the first two levels."""
    read: Callable[[str], bytes]
    """Content of an image. Raises OSError, and InputError for what is damaged or too large."""
    stamp: str
    """What is another if any file may have changed: found without reading them."""
    restamp: Callable[[], str]
    """The same, of now."""


@contextmanager
def opened(path: Path) -> Iterator[Tree]:
    """The tree in a folder or zip file. Raises InputError for what is neither, or is a zip file not to be trusted."""
    if path.is_dir():
        files, folders, found = _walk(path)
        yield Tree(str(path), files, folders, lambda name: read(f"{path}/{name}"), found, lambda: _walk(path)[2])
        return
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # of many types, on bytes that are no such file
            raise InputError(f"{path} is damaged or not a zip file ({' '.join(str(error).split())})") from None
        with archive:
            yield _members(path, archive)


def stamp(path: str | Path) -> str:
    """What changes when the file does: its size, times and inode. Of a link, those of what it leads to."""
    try:
        found = os.stat(path)  # noqa: PTH116 (a Path would take longer to make than to ask)
    except OSError as error:
        return str(error.strerror)
    return _stamp(found)


def read(path: str) -> bytes:
    """Content of a file. Raises OSError, and InputError when it has more than MOST_BYTES."""
    with open(path, "rb") as file:  # noqa: PTH123 (a Path would take longer to make than a small file to read)
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise InputError("is not a file")
        _bound(found.st_size)
        return file.read()


def _bound(size: int) -> None:
    if size > MOST_BYTES:
        raise InputError(f"has {size // 2**20} MiB, more than {MOST_BYTES // 2**20}: make it smaller")


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _walk(root: Path) -> tuple[list[str], frozenset[str], str]:
    """Files, folders and stamp of a folder. Links are followed, but within a class into each folder once."""
    files: dict[str, str] = {}
    folders: set[str] = set()
    seen: dict[tuple[str, ...], set[tuple[int, int]]] = {}
    waiting: list[tuple[str, tuple[str, ...], frozenset[tuple[int, int]]]] = []
    waiting.append((str(root), (), frozenset({_identity(root.stat())})))
    while waiting:
        folder, parts, above = waiting.pop()
        base = "".join(f"{part}/" for part in parts)
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if entry.is_dir():
                    identity = _identity(entry.stat())
                    inside = (*parts, name)
                    visited = seen.setdefault(inside[:2], set())
                    if identity not in above and identity not in visited:
                        visited.add(identity)
                        waiting.append((entry.path, inside, above | {identity}))
                    if len(inside) <= 2:
                        folders.add(base + name)
                elif _is_image(name):
                    try:
                        found = entry.stat()
                    except OSError as error:  # a link to nothing: reading it will say so
                        files[base + name] = str(error.strerror)
                    else:
                        if stat.S_ISREG(found.st_mode):
                            files[base + name] = _stamp(found)
    names = sorted(files)
    text = "\n".join([str(root.absolute()), *sorted(folders), *(f"{name}\0{files[name]}" for name in names)])
    return names, frozenset(folders), hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is_image(name: str) -> bool:
    return name[name.rfind(".") :].lower() in EXTENSIONS


def _members(path: Path, archive: zipfile.ZipFile) -> Tree:
    """The tree in a zip file; a single folder around everything is looked through."""
    members: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for info in archive.infolist():
        parts = _parts(path, info.filename)
        if any(part.startswith(".") for part in parts) or _OTHER_SYSTEMS in parts:
            continue
        inside = parts if info.is_dir() else parts[:-1]
        folders |= {"/".join(inside[: level + 1]) for level in range(len(inside))}
        if not info.is_dir() and _is_image(parts[-1]):
            _check(path, info)
            members["/".join(parts)] = info
    tops = {name.split("/")[0] for name in members}
    wrapped = len(tops) == 1 and all(name.count("/") >= 2 for name in members)
    skipped = f"{tops.pop()}/" if wrapped else ""
    names = sorted(name.removeprefix(skipped) for name in members)
    inner = {folder.removeprefix(skipped) for folder in folders if folder.startswith(skipped)}
    lock = threading.Lock()

    def content(name: str) -> bytes:
        info = members[skipped + name]
        _bound(info.file_size)  # what is in it is not read any further
        try:
            with lock:
                member = archive.open(info)
            with member:
                return member.read()
        except MemoryError:
            raise
        except Exception as error:  # zipfile and zlib raise errors of many types on damaged bytes
            if isinstance(error, OSError) and error.errno is not None:  # not of the bytes, but of the disk
                raise
            raise InputError(f"is damaged ({' '.join(str(error).split())})") from None

    shallow = frozenset(folder for folder in inner if folder.count("/") < 2)

    def listing() -> str:
        return f"{path.absolute()}\n{stamp(path)}"

    return Tree(str(path), names, shallow, content, listing(), listing)


def _parts(path: Path, name: str) -> list[str]:
    """Of a member's path. Raises InputError when it leads out of the folder into which one would unpack it."""
    parts = name.replace("\\", "/").rstrip("/").split("/")
    if parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", name):
        raise InputError(f"{path} holds a member {name!r} whose path leaves the folder: do not trust this file")
    return [part for part in parts if part not in ("", ".")]


def _check(path: Path, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 1:
        raise InputError(f"{path} is encrypted ({info.filename}): unpack it and name the folder")
    if info.compress_type not in _METHODS:
        raise InputError(
            f"{path} is packed by a method other than deflate ({info.filename}): unpack it, or pack it anew"
        )
