"""Imports run one way: by room, and inside a room without a circle."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import datacondense

PACKAGE = Path(datacondense.__file__).parent
ROOMS = "utils drawing data augment networks engine training synthetic methods pictures run evaluation formats experiments report cli"  # noqa: E501 (one line)
ORDER = {room: place for place, room in enumerate(ROOMS.split())}
MODULES: dict[tuple[str, ...], Path] = {
    path.relative_to(PACKAGE).with_suffix("").parts: path for path in sorted(PACKAGE.rglob("*.py"))
}


def imported(module: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Modules of this package that a module imports, wherever in its text."""
    stub = MODULES[module].with_suffix(".pyi")  # of a package whose modules are imported when a name is used
    for node in ast.walk(ast.parse((stub if stub.exists() else MODULES[module]).read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*module[: len(module) - node.level], *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield next(
                    one
                    for one in ((*base, alias.name), base, (*base, alias.name, "__init__"), (*base, "__init__"))
                    if one in MODULES
                )


@pytest.mark.parametrize("module", MODULES, ids="/".join)
def test_imports_run_one_way(module: tuple[str, ...]) -> None:
    """A module imports those of its own room and of the rooms before it, and the version."""
    text = MODULES[module].read_text()
    assert not re.search(r"^\s*(from|import) datacondense\b", text, re.MULTILINE), "import by a relative path"
    if len(module) > 1:
        for other in set(imported(module)) - {("_version",)}:
            assert len(other) > 1, f"{'/'.join(module)} must not import {'/'.join(other)}"
            assert ORDER[other[0]] <= ORDER[module[0]], f"{'/'.join(module)} must not import {'/'.join(other)}"


def test_every_package_is_a_room() -> None:
    assert {module[0] for module in MODULES if len(module) > 1} == set(ORDER)
    assert {module[0] for module in MODULES if len(module) == 1} == {"__init__", "__main__", "_version"}


def test_no_module_imports_itself_by_way_of_others() -> None:
    free: set[tuple[str, ...]] = set()
    left = {module: set(imported(module)) - {module} for module in MODULES}
    while left:
        now = {module for module, others in left.items() if others <= free}
        assert now, f"a circle among {sorted('/'.join(module) for module in left)}"
        free |= now
        left = {module: others for module, others in left.items() if module not in now}


def test_only_the_command_line_imports_its_libraries() -> None:
    for module, path in MODULES.items():
        if module[0] != "cli" and module != ("drawing", "progress_bar"):  # which imports rich when a bar is seen
            assert not re.search(r"^\s*(import|from) (tyro|rich)\b", path.read_text(), re.MULTILINE)
