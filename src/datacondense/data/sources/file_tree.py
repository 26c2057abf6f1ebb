"""List the images in a folder or a zip file, and read them."""

import errno
import hashlib
import os
import re
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from ...utils.errors import DamagedFile, InputError, reason
from ...utils.paths import open_file, require_file
from ..splits import TESTS, TRAINS, named_like
from .decode import MOST_BYTES
from .image_files import EXTENSIONS, OTHER_SYSTEMS, TEXT

_LEVELS = 3
"""Deepest level of class folders: inside a part of the dataset, inside a folder around both."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@final
@dataclass(frozen=True)
class Tree:
    """Files and folders by their paths relative to the root, with "/", without hidden ones."""

    place: str
    """Name of the root in messages."""
    files: list[str]
    """Paths of all images, sorted."""
    others: list[str]
    """Paths of all files that are neither images nor text."""
    folders: frozenset[str]
    """Paths of all folders at the first levels, which contain the classes."""
    identities: Mapping[str, tuple[int, int]]
    """Path of a folder -> device and inode, equal for links to the same folder; empty in zip files."""
    outside: int
    """Number of images outside of the single folder that holds the dataset."""
    read: Callable[[str], bytes]
    """Returns the content of an image. Raises OSError, and InputError for damaged or too large files."""
    stamp: str
    """Digest that changes when any file may have changed, computed without reading the files."""
    restamp: Callable[[], str]
    """Computes `stamp` again."""


@contextmanager
def opened(path: Path) -> Iterator[Tree]:
    """Yield the tree of a folder or zip file, without a single enclosing folder. Raise InputError for anything else."""
    if path.is_dir():
        yield _unwrapped(_walk(path))
        return
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # of many types, for other files
            raise DamagedFile(f"{path} is damaged or not a zip file ({reason(error)})") from None
        with archive:
            yield _unwrapped(_members(path, archive))


def stamp(path: str | Path) -> str:
    """Return size, times and inode of a file, or of the target of a link: they change when the file does."""
    try:
        found = os.stat(path)  # noqa: PTH116 (creating a Path takes longer)
    except OSError as error:
        return str(error.strerror)
    return _stamp(found)


def read_file(path: str) -> bytes:
    """Return the content of a file. Raise OSError, and InputError for more than MOST_BYTES."""
    require_file(os.stat(path))  # noqa: PTH116 (as above)
    with open(path, "rb") as file:  # noqa: PTH123 (as above)
        _check_size(os.fstat(file.fileno()).st_size)
        return file.read()


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise InputError(f"has {size // 2**20} MiB, more than {MOST_BYTES // 2**20}: make it smaller")


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def _unwrapped(found: Tree) -> Tree:
    """Return the tree of a single enclosing folder, if it holds folders of images and is no training or test part."""
    tops = [folder for folder in found.folders if "/" not in folder]
    if len(tops) != 1 or named_like(tops, (*TRAINS, *TESTS)) or not any(file.count("/") >= 2 for file in found.files):
        return found
    base = f"{tops[0]}/"

    def inside(paths: Iterable[str]) -> list[str]:
        return [path.removeprefix(base) for path in paths if path.startswith(base)]

    files = inside(found.files)
    return replace(
        found,
        files=files,
        others=inside(found.others),
        folders=frozenset(inside(found.folders)),
        identities={path.removeprefix(base): identity for path, identity in found.identities.items()},
        outside=len(found.files) - len(files),
        read=lambda name: found.read(base + name),
    )


def _walk(root: Path) -> Tree:
    """Return the tree of a folder. Follow links, to the same folder once below each folder of the third level."""
    files: dict[str, str] = {}
    others: list[str] = []
    identities: dict[str, tuple[int, int]] = {}
    seen: dict[tuple[str, ...], set[tuple[int, int]]] = {}
    waiting: list[tuple[str, tuple[str, ...], frozenset[tuple[int, int]]]] = []
    waiting.append((str(root), (), frozenset({_identity(root.stat())})))
    while waiting:
        folder, above, around = waiting.pop()
        base = "".join(f"{step}/" for step in above)
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            name = entry.name
            if _hidden(name):
                continue
            if _is_folder(entry):
                identity = _identity(entry.stat())
                inside = (*above, name)
                visited = seen.setdefault(inside[:_LEVELS], set())
                if identity not in around and identity not in visited:
                    visited.add(identity)
                    waiting.append((entry.path, inside, around | {identity}))
                identities[base + name] = identity
            elif _is_image(name):
                try:
                    found = entry.stat()
                except OSError as error:  # a broken link: reported when it is read
                    files[base + name] = str(error.strerror)
                else:
                    if stat.S_ISREG(found.st_mode):
                        files[base + name] = _stamp(found)
            elif not name.lower().endswith(TEXT):
                others.append(base + name)
    names = sorted(files)
    folders = frozenset(path for path in identities if path.count("/") < _LEVELS)
    text = "\n".join([str(root.absolute()), *sorted(folders), *(f"{name}\0{files[name]}" for name in names)])
    return Tree(
        place=str(root),
        files=names,
        others=others,
        folders=folders,
        identities=identities,
        outside=0,
        read=lambda name: read_file(f"{root}/{name}"),
        stamp=hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest(),
        restamp=lambda: _walk(root).stamp,
    )


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in OTHER_SYSTEMS


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is_image(name: str) -> bool:
    return name[name.rfind(".") :].lower() in EXTENSIONS


def _members(path: Path, archive: zipfile.ZipFile) -> Tree:
    """Return the tree of a zip file."""
    members: dict[str, zipfile.ZipInfo] = {}
    others: list[str] = []
    folders: set[str] = set()
    for info in archive.infolist():
        steps = _parts(path, info.filename)
        if not steps or any(map(_hidden, steps)):
            continue
        name = "/".join(steps)
        inside = steps if info.is_dir() else steps[:-1]
        folders |= {"/".join(inside[: level + 1]) for level in range(min(len(inside), _LEVELS))}
        if not info.is_dir() and _is_image(name):
            _check(path, info)
            members[name] = info
        elif not info.is_dir() and not name.lower().endswith(TEXT):
            others.append(name)
    lock = threading.Lock()

    def content(name: str) -> bytes:
        info = members[name]
        _check_size(info.file_size)
        try:
            with lock:
                member = archive.open(info)
            with member:
                return member.read()
        except MemoryError:
            raise
        except Exception as error:  # zipfile and zlib raise errors of many types on damaged bytes
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # of the disk, not damaged bytes
                raise
            raise DamagedFile(f"is damaged ({reason(error)})") from None

    def listing() -> str:
        return f"{path.absolute()}\n{stamp(path)}"

    return Tree(
        place=str(path),
        files=sorted(members),
        others=others,
        folders=frozenset(folders),
        identities={},
        outside=0,
        read=content,
        stamp=listing(),
        restamp=listing,
    )


def _parts(path: Path, name: str) -> list[str]:
    """Return the parts of a member's path. Raise InputError when it would leave the folder of the archive."""
    steps = name.replace("\\", "/").rstrip("/").split("/")
    if steps[0] == "" or ".." in steps or re.match("[A-Za-z]:", name):
        raise InputError(f"{path} holds a member {name!r} whose path leaves the folder: do not trust this file")
    return [step for step in steps if step not in ("", ".")]


def _check(path: Path, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 1:
        raise InputError(f"{path} is encrypted ({info.filename}): unpack it and name the folder")
    if info.compress_type not in _METHODS:
        raise InputError(f"{path} uses a compression other than deflate ({info.filename}): unpack it, or pack it again")
