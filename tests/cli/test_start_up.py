"""Commands that compute nothing start without the heavy libraries."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import datacondense
from datacondense import METHODS, NETWORKS
from datacondense.cli import app
from datacondense.cli.registry import COMMANDS, SHARED
from datacondense.data.named import NAMED
from datacondense.data.registry import DATASETS, SOURCE_FORMS
from datacondense.data.source import SOURCES
from datacondense.utils.registry import Registry, first_line

HEAVY = {"torch", "sklearn", "matplotlib", "datasets", "scipy", "pyarrow"}
RUN = "import sys; from datacondense.cli.app import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
PRINT = "print(*sys.modules)"


def modules(code: str, *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}{PRINT}", *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    ["", "--version", "--help", "list methods", "list data", "list archs", "list pools", "condense --help"],
)
def test_a_command_that_computes_nothing_imports_no_heavy_library(arguments: str) -> None:
    imported = modules(RUN, *arguments.split())
    assert "datacondense.cli.app" in imported
    assert imported & HEAVY == set()


def test_version_imports_no_parser() -> None:
    assert "tyro" not in modules(RUN, "--version")


def test_import_of_the_package_imports_no_heavy_library() -> None:
    assert modules("import sys, datacondense as dc; dir(dc); list(dc.METHODS); list(dc.NETWORKS)\n") & HEAVY == set()


def test_dir_is_the_public_names() -> None:
    assert "utils" not in dir(datacondense)
    assert [name for name in dir(datacondense) if name.startswith("_")] == ["__version__"]
    for name in dir(datacondense):
        assert getattr(datacondense, name) is not None


@pytest.mark.parametrize("registry", [METHODS, COMMANDS], ids=["methods", "commands"])
def test_summaries_are_the_first_lines_of_docstrings(registry: Registry) -> None:
    for name, cls in registry.items():
        assert registry.summary(name) == first_line(cls), name


def test_names_of_data_are_those_of_the_readers() -> None:
    assert list(DATASETS) == ["digits", *NAMED]
    assert list(SOURCE_FORMS) == list(SOURCES)


def test_shared_commands_exist() -> None:
    assert set(SHARED) <= set(COMMANDS)


def test_every_network_can_be_imported() -> None:
    assert all(callable(make) for make in NETWORKS.values())


@pytest.mark.parametrize("place", [0, 2])
def test_a_plugin_anywhere_on_the_line_leaves_the_processes_joined(place: int, monkeypatch) -> None:
    trace = []

    @contextmanager
    def joined() -> Iterator[None]:
        trace.append("joined")
        yield

    monkeypatch.setattr(app, "joined", joined)
    monkeypatch.setattr("datacondense.cli.commands.condense.Condense.run", lambda self: trace.append("run"))
    monkeypatch.setattr(
        "datacondense.cli.plugin_files.load_named", lambda words: [w for w in words if w != "--plugin=x"]
    )
    words = ["condense", "random"]
    assert app.main([*words[:place], "--plugin=x", *words[place:]]) == 0
    assert trace == ["joined", "run"]
