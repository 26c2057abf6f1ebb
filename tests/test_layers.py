"""Imports run one way."""

import ast
import re
from pathlib import Path

import pytest

import datacondense

PACKAGE = Path(datacondense.__file__).parent
LAYERS = [  # a module may import those of its own layer's unit (package) and of the layers above it
    {"errors", "_version", "owner", "text"},
    {"paths"},
    {"atomic", "schema"},
    {"records", "measured"},
    {"types", "streams", "files", "machine", "interrupt", "distributed", "launch", "pace", "ranges"},
    {"cache", "generators", "limits", "locks"},
    {"generated"},
    {"augment", "distances", "synthetic", "networks", "data"},
    {"execution"},
    {"engine", "effort"},
    {"kept_training"},
    {"training", "memory"},
    {"stacked", "trained", "generative"},
    {"scoring"},
    {"methods"},
    {"artifact", "snapshots"},
    {"picture", "figures", "observers"},
    {"rundir", "storage", "labels"},
    {"session", "kept_scores", "protocol", "run_log"},
    {"job", "live", "evaluate", "presets", "exchange"},
    {"driver"},
    {"baselines", "evaluated", "estimate", "memories"},
    {"reproduce", "continual"},
    {"results"},
    {"cells", "report"},
    {"cli"},
    {"__init__", "__main__"},
]
LEVEL = {unit: level for level, layer in enumerate(LAYERS) for unit in layer}
FILES = sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """The package or top-level module a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_units(path: Path) -> set[str]:
    """Units of this package that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = ["datacondense"] if node.level else []
            if node.level:
                base = ["datacondense", *path.relative_to(PACKAGE).parts[:-1]]
                base = base[: len(base) - (node.level - 1)]
            parts = base + (node.module.split(".") if node.module else [])
            if parts[:1] == ["datacondense"]:
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("datacondense.")}
    return {"__init__" if name == "__version__" else name for name in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    here = unit(path)
    for other in imported_units(path) - {here}:
        if here == "cli" and other == "__init__":
            continue  # the version
        assert LEVEL[other] < LEVEL[here], f"{here} must not import {other}"


def test_every_unit_has_a_layer() -> None:
    assert {unit(path) for path in FILES} == set(LEVEL)


def test_only_the_command_line_imports_its_libraries() -> None:
    for path in FILES:
        if unit(path) != "cli":
            text = path.read_text()
            assert not re.search(r"^\s*(import|from) (tyro|rich)\b", text, re.MULTILINE)
