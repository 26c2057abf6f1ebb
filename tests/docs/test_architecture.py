"""The page on the architecture names the rooms, the import line and the files that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src/datacondense"
PAGE = (ROOT / "docs/architecture.md").read_text()
ROOMS = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("*/**/__init__.py")}
"""Every package below `datacondense`, as a path."""
FILE = re.compile(r"`([\w/.-]+\.(?:py|md))`|(?<=[ (])([a-z_]+/[\w/]+\.py)\b")
FOLDER = re.compile(r"(?<= )((?:[a-z_]+/)+)(?=[ ,:\n])")


def named_files() -> set[str]:
    """Return the files that the page names, in code or in a diagram."""
    return {one or other for one, other in FILE.findall(PAGE)}


def import_line() -> str:
    """Return the line of rooms on the page."""
    (line,) = re.findall(r"^utils -> .*$", PAGE, re.MULTILINE)
    return line


def test_the_page_has_a_row_for_every_room() -> None:
    assert set(re.findall(r"^\| `([\w/]+)` \|", PAGE, re.MULTILINE)) == ROOMS


def test_the_import_line_is_the_one_that_is_tested() -> None:
    tree = ast.parse((ROOT / "tests/test_layers.py").read_text())
    (tested,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and [ast.unparse(target) for target in node.targets] == ["ROOMS"]
    )
    assert isinstance(tested, str)
    assert re.findall(r"\w+", import_line()) == re.findall(r"\w+", tested)


@pytest.mark.parametrize("name", sorted(named_files()))
def test_a_file_on_the_page_exists(name: str) -> None:
    base = ROOT if name.startswith(("tests/", "benchmarks/", "docs/")) else PACKAGE
    assert (base / name.removeprefix("datacondense/")).is_file()


@pytest.mark.parametrize("name", sorted(set(FOLDER.findall(PAGE))))
def test_a_folder_on_the_page_exists(name: str) -> None:
    assert (PACKAGE / name).is_dir()


def test_the_page_names_files_of_every_room() -> None:
    assert {Path(name).parent.as_posix() for name in named_files()} >= ROOMS


def test_the_files_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:src|tests|docs|benchmarks)/[\w/.-]+|\w+\.(?:md|yml))`", text))
    assert len(named) > 15
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == []
    registries = re.findall(r"`([A-Z]+)`\s+in\s+`([\w/.]+)`", text)
    assert {"DATASETS", "METHODS", "NAMED", "NETWORKS", "POOLS", "FORMATS", "TOY", "LONG"} == {
        name for name, _ in registries
    }
    for name, path in registries:
        assert re.search(rf"^{name}\b.* =", (ROOT / path).read_text(), re.MULTILINE), f"{path} defines {name}"
