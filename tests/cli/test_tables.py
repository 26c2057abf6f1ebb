"""Tables in narrow terminals: no number and no name is lost."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.table import Table

from datacondense.cli import display
from datacondense.cli.display import OUT, class_table, cross_table, score_table
from datacondense.cli.tables import show_table
from datacondense.evaluation.scores import Scores

WIDTHS = (20, 40, 60, 80, 120)
ARCHS = ("ConvNet", "AlexNet", "VGG11BN", "ResNet18BN_AP")
LONG = [f"fashion-mnist-by-distribution-matching-with-many-settings-run-{i}" for i in range(10)]
SPACED = [f"dm ipc {i} lr 1.0 augment color_crop_cutout_flip_scale_rotate" for i in range(10)]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr(OUT, "_force_terminal", True)
    monkeypatch.setattr(OUT, "_height", 50)
    return SimpleNamespace(set=lambda width: monkeypatch.setattr(OUT, "_width", width))


def shown(table: Table) -> str:
    with OUT.capture() as capture:
        show_table(table)
    return capture.get()


def scores(names: list[str], classes: int) -> dict[str, Scores]:
    found = {}
    for place, name in enumerate(names):
        accuracy = {arch: [0.4 + place / 100, 0.5 + i / 100] for i, arch in enumerate(ARCHS)}
        found[name] = Scores(
            accuracy=accuracy,
            per_class={arch: [[(k * 7 + place) % 100 / 100 for k in range(classes)]] * 2 for arch in ARCHS},
            seconds=61.0,
            protocol={"recipes": {arch: {"augment": "dsa", "epochs": 1000} for arch in ARCHS}},
            trained_on={"images": 100 * (place + 1)},
        )
    return found


def cells(table: Table) -> list[str]:
    return [str(text) for column in table.columns for text in (column.header, *column.cells) if text]


def numbers(table: Table) -> list[str]:
    """Cells that are numbers: they are not folded from 40 columns on."""
    return [text for text in cells(table) if text[0].isdigit()]


def squeezed(text: str) -> str:
    return "".join(text.replace("│", " ").replace("┃", " ").split())


TABLES = {
    "scores": lambda names: score_table(scores(names, 2)),
    "cross": lambda names: cross_table(scores(names, 2)),
    "classes": lambda names: class_table(scores(names, 100), [f"the class of number {k}" for k in range(100)]),
}


@pytest.mark.parametrize("names", [["dm", "dc"], LONG, SPACED], ids=["short", "long", "spaced"])
@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_number_and_no_name_is_lost(width: int, kind: str, names: list[str], terminal) -> None:
    terminal.set(width)
    table = TABLES[kind](names)
    text = shown(table)
    assert "…" not in text
    if width >= 40:
        assert all(number in text for number in numbers(table))
        assert max(len(line) for line in text.splitlines() if line[:1] in "┏┃┡│└") <= width
    if width >= 80:
        assert all(name in text for name in names if " " not in name)
    words = set(text.replace("│", " ").replace("┃", " ").split())
    assert width < 40 or {word for cell in cells(table) for word in cell.split()} <= words


def test_a_table_that_fits_is_one(terminal) -> None:
    terminal.set(120)
    text = shown(cross_table(scores(["dm", "dc"], 2)))
    assert text.count("┏") == 1
    assert "(1)" not in text


def test_where_there_is_no_terminal_a_table_is_as_wide_as_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OUT, "_width", 40)
    table = class_table(scores(LONG, 3), ["a", "b", "c"])
    text = shown(table)
    assert all(cell in text for cell in cells(table))


def test_tables_of_the_commands_pass_there() -> None:
    """A table that is printed otherwise could be cut."""
    for path in Path(display.__file__).parent.glob("*.py"):
        assert (
            path.name in ("tables.py", "display.py", "console.py", "overview.py")
            or "OUT.print(" not in path.read_text()
        ), path
