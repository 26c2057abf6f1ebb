"""Registries: objects by name, whose modules are imported when an object is first looked up."""

from collections.abc import Iterator, Mapping, MutableMapping
from functools import partial
from importlib import import_module
from typing import Any, Generic, TypeVar, final

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
        module, _, name = self.path.partition(":")
        found = getattr(import_module(f"{package}.{module}"), name)
        return partial(found, **self.keywords) if self.keywords else found


@final
class Registry(MutableMapping[str, T], Generic[T]):
    """A mapping from names to objects; names and summaries are known before any object is imported."""

    def __init__(self, module: str, entries: Mapping[str, Entry]) -> None:
        """Store the entries. `module` is the `__name__` of the module that holds the registry."""
        self._package = module.rpartition(".")[0]
        self._entries: dict[str, Entry | None] = dict(entries)
        self._loaded: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._loaded:
            entry = self._entries[name]
            assert entry is not None
            self._loaded[name] = entry.load(self._package)
        return self._loaded[name]

    def __setitem__(self, name: str, value: T) -> None:
        self._entries[name] = None
        self._loaded[name] = value

    def __delitem__(self, name: str) -> None:
        del self._entries[name]
        self._loaded.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def summary(self, name: str) -> str:
        """Return the summary of an entry; that of an added object is the first line of its docstring."""
        entry = self._entries[name]
        return entry.summary if entry else first_line(self._loaded[name])


def first_line(documented: object) -> str:
    """Return the first line of an object's docstring."""
    return (documented.__doc__ or "").partition("\n")[0]
