"""Registries: objects by name, whose modules are imported when an object is first looked up."""

import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, final

from .errors import InputError, reason

T = TypeVar("T")


@final
class Entry:
    """One line of a registry: where the object is, a summary of one line, and keywords that it is called with.

    Args:
        path: "module:name", relative to the package of the registry.
        summary: first line of the object's docstring, known without an import.
        keywords: arguments that are bound to the object by `functools.partial`.
    """

    def __init__(self, path: str, summary: str = "", **keywords: Any) -> None:
        self.path = path
        self.summary = summary
        self.keywords = keywords

    def load(self, package: str) -> Any:
        """Import the module of the object and return the object, with its keywords bound."""
        found = _imported(package, self.path)
        return partial(found, **self.keywords) if self.keywords else found


@final
class Registry(MutableMapping[str, T], Generic[T]):
    """A mapping from names to objects; names and summaries are known before any object is imported.

    A registry with a `group` also has the objects that installed packages register in that group of entry points. Each
    is imported when it is first looked up.

    Args:
        module: `__name__` of the module that holds the registry.
        entries: name -> where the object is.
        kind: what one object is, in the singular, for messages.
        group: group of entry points, name = "package.module:object"; empty for none.
        check: "module:function", relative to the package of the registry. The function takes the name and the object of
            a plug-in, and returns the object to store or raises InputError.
    """

    def __init__(
        self, module: str, entries: Mapping[str, Entry], *, kind: str = "object", group: str = "", check: str = ""
    ) -> None:
        self.kind = kind
        self._package = module.rpartition(".")[0]
        self._group = group
        self._check = check
        self._searched = not group
        self._entries: dict[str, Entry | EntryPoint | None] = dict(entries)
        self._loaded: dict[str, T] = {}
        self._origins: dict[str, dict[str, str]] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._loaded:
            if name not in self:
                raise KeyError(name)
            entry = self._entries[name]
            assert entry is not None
            self._loaded[name] = self._load(entry) if isinstance(entry, EntryPoint) else entry.load(self._package)
        return self._loaded[name]

    def __setitem__(self, name: str, value: T) -> None:
        self._entries[name] = None
        self._loaded[name] = value
        self._origins.pop(name, None)

    def __delitem__(self, name: str) -> None:
        self._find_installed()
        del self._entries[name]
        self._loaded.pop(name, None)
        self._origins.pop(name, None)

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            self._find_installed()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._find_installed()
        return iter(self._entries)

    def __len__(self) -> int:
        self._find_installed()
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<registry, {self.kind}: {', '.join(self)}>"

    def __or__(self, other: Mapping[str, T]) -> "Registry[T]":
        both = self.copy()
        both.update(other)
        return both

    def __ror__(self, other: Mapping[str, T]) -> "Registry[T]":
        both = self.copy()
        both.update({name: value for name, value in other.items() if name not in self})
        return both

    def __ior__(self, other: Mapping[str, T]) -> "Registry[T]":
        self.update(other)
        return self

    def copy(self) -> "Registry[T]":
        """Return a registry of the same objects that changes independently; nothing is imported."""
        new: Registry[T] = Registry(f"{self._package}.", {}, kind=self.kind, group=self._group, check=self._check)
        new._searched = self._searched
        new._entries, new._loaded, new._origins = self._entries.copy(), self._loaded.copy(), self._origins.copy()
        return new

    def checked(self, name: str, value: Any) -> T:
        """Return the object of a plug-in as it is to be stored.

        Raises:
            InputError: The name exists already or has characters that a name may not have, the object has a name
                already, or it is not one of this registry.
        """
        check_name(self.kind, name)
        if name in self:
            raise InputError(f"there is already a {self.kind} {name}: choose another name")
        loaded = (key for key, entry in self._entries.items() if key in self._loaded or isinstance(entry, Entry))
        known = next((key for key in loaded if self[key] is value), None)
        if known is not None:  # records would have the new name from now on
            raise InputError(f"{self.kind} {name}: it is the {self.kind} {known} already: use that name")
        return self._adapted(name, value)

    def add(self, name: str, value: T, origin: Mapping[str, str]) -> None:
        """Add what `checked` returned. `origin`: its file and sha256."""
        self[name] = value
        self._origins[name] = dict(origin)

    def origin(self, name: str) -> dict[str, str] | None:
        """Return the source of a plug-in's object: file and sha256, or package and version; None for any other."""
        return self._origins.get(name)

    def code(self, name: str) -> dict[str, str] | None:
        """Return what tells the code of an object from that of another of this name; None where that is unknown.

        Of this package's own objects there is nothing to tell, of a file its sha256, of a package name and version. An
        object that was entered from Python is unknown, and so is a name that is not here.
        """
        if isinstance(self._entries.get(name), Entry):
            return {}
        if name in self:
            self[name]  # an installed object has its origin once it is loaded
        origin = self.origin(name)
        return None if origin is None else {key: value for key, value in origin.items() if key != "file"}

    def name_of(self, value: object) -> str | None:
        """Return the name of an object; None if it has none. Installed objects that cannot be imported are passed over.

        Those that are imported already are compared first.
        """
        found = next((name for name, one in self._loaded.items() if one is value), None)
        return found or next((name for name in self._usable(lambda error: None) if self[name] is value), None)

    def available(self) -> list[str]:
        """Return all names, without those of installed packages that cannot be imported: a warning tells of each."""
        return list(self._usable(lambda error: warnings.warn(str(error), stacklevel=4)))

    def summaries(self) -> dict[str, str]:
        """Return the usable names with their summaries."""
        return {name: self.summary(name) for name in self.available()}

    def summary(self, name: str) -> str:
        """Return the summary of an entry; that of an added object is the first line of its docstring."""
        entry = self._entries[name]
        return entry.summary if isinstance(entry, Entry) else first_line(self[name])

    def _find_installed(self) -> None:
        """Enter what installed packages register, once, without importing it; warn of names that cannot be entered."""
        if self._searched:
            return
        self._searched = True
        for point in entry_points(group=self._group):
            try:
                check_name(self.kind, point.name)
                if point.name in self._entries:
                    raise InputError(f"there is already a {self.kind} {point.name}")
                self._entries[point.name] = point
            except InputError as error:
                warnings.warn(f"{point.value} of an installed package is left out: {error}", stacklevel=3)

    def _load(self, point: EntryPoint) -> T:
        try:
            value = self._adapted(point.name, point.load())
        except Exception as error:  # another package may raise anything
            raise InputError(f"{self.kind} {point.name!r} ({point.value}) cannot be loaded: {reason(error)}") from error
        if point.dist:
            self._origins[point.name] = {"package": point.dist.name, "version": point.dist.version}
        return value

    def _adapted(self, name: str, value: Any) -> T:
        return _imported(self._package, self._check)(name, value) if self._check else value

    def _usable(self, report: Callable[[InputError], None]) -> Iterator[str]:
        for name in self:
            if isinstance(self._entries[name], EntryPoint):
                try:
                    self[name]
                except InputError as error:
                    report(error)
                    continue
            yield name


def check_name(kind: str, name: object) -> None:
    """Raise InputError for a name that cannot be written on a command line or become part of a file name."""
    whole = isinstance(name, str) and 0 < len(name) <= 100 and name.isascii() and name[0].isalnum()
    if not whole or not all(letter.isalnum() or letter in "-_" for letter in str(name)):
        raise InputError(f"{name!r} cannot be the name of a {kind}: take letters, digits, - and _, at most 100")


def first_line(documented: object) -> str:
    """Return the first line of an object's docstring."""
    return (documented.__doc__ or "").partition("\n")[0]


def _imported(package: str, path: str) -> Any:
    """Return the object at "module:name", relative to a package."""
    module, _, name = path.partition(":")
    return getattr(import_module(f"{package}.{module}"), name)
