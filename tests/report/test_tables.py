"""Tables of a page and their files; figures and the places of their values."""

import csv
import io
import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from matplotlib.text import Annotation

from datacondense import condense, evaluate
from datacondense.evaluation.score_log import keep_scores
from datacondense.evaluation.scores import Scores
from datacondense.methods import Random
from datacondense.report import charts, write_report
from datacondense.report.marked import COLOURS, HEAT, INK, RANDOM_COLOUR, WHOLE_COLOUR, to_svg
from datacondense.report.tables import Cell, Column, accuracy_cell, count_cell, table


class Reader(HTMLParser):
    """Tables of a page: the texts of their cells, row by row, and the files beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.files: list[list[list[str]]] = []
        self._cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        self._cell = tag in ("th", "td")
        address = values.get("href") or ""
        if address.startswith("data:text/csv"):
            text = unquote(address.partition(",")[2])
            self.files.append(list(csv.reader(io.StringIO(text))))

    def handle_endtag(self, tag: str) -> None:
        self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data


def test_a_file_has_the_numbers_of_its_table() -> None:
    columns = Column("name"), Column("accuracy %", number=True), Column("n", number=True), Column("empty")
    rows = [["a,b", accuracy_cell([0.5, 0.6]), count_cell(12345), ""], ["c", accuracy_cell([0.25]), "", ""]]
    made = table("one", columns, rows)
    assert [column.name for column in made.columns] == ["name", "accuracy %", "n"]
    assert [cell.text for cell in made.rows[0]] == ["a,b", "55.0 ± 7.1", "12,345"]
    read = list(csv.reader(io.StringIO(made.csv)))
    assert read == [
        ["name", "accuracy %", "accuracy % std", "n"],
        ["a,b", "55", "7.07107", "12345"],
        ["c", "25", "", ""],
    ]
    assert (
        table("two", [Column("size", number=True, unit="bytes")], [[Cell("1.5 kB", 1500)]]).csv
        == "size (bytes)\n1500\n"
    )


def test_every_table_of_a_page_has_its_file(toy, tmp_path: Path) -> None:
    made = condense(Random(arch="MLP"), toy(), 2, out=tmp_path / "run")
    scores = evaluate(made, toy(draw=1), archs=["MLP"], nets=2, epochs=1, augment="none")
    keep_scores(tmp_path / "run", {"run": scores})
    write_report([tmp_path / "run"], tmp_path / "report.html")
    reader = Reader()
    reader.feed((tmp_path / "report.html").read_text())
    assert len(reader.tables) == len(reader.files) == 5  # summary, size, accuracies, classes, settings
    for shown, file in zip(reader.tables, reader.files, strict=True):
        assert [row[0] for row in shown] == [row[0] for row in file]
        assert all(len(row) == len(file[0]) >= len(shown[0]) for row in file)
    classes, file = reader.tables[3], reader.files[3]
    assert file[0][:3] == ["class", "test accuracy %", "test accuracy % std"]
    for of_class, (_, text, *_), (_, mean, std, *_) in zip(range(3), classes[1:], file[1:], strict=True):
        values = [100 * (row[of_class] or 0) for row in scores.per_class["MLP"]]
        assert float(mean) == pytest.approx(sum(values) / 2)
        assert text == f"{float(mean):.1f} ± {float(std):.1f}"


BARS = [
    charts.Bar("random <1>", [0.25], RANDOM_COLOUR),
    charts.Bar("dm", [0.4, 0.6], COLOURS[0]),
    charts.Bar("whole", [1.0], WHOLE_COLOUR),
]


def marks_of(svg: str) -> list[list]:
    (found,) = re.findall(r"data-marks='([^']*)'", svg)
    return json.loads(unescape(found))


def test_the_values_of_a_figure_stand_where_they_are_drawn() -> None:
    svg = to_svg(lambda: charts.result(BARS, "test accuracy %"), "x")
    marks = marks_of(svg)
    assert [mark[4] for mark in marks] == ["random <1>: 25.0 %", "dm: 50.0 ± 14.1 %", "whole: 100.0 %"]
    widths = [right - left for left, _, right, _, _ in marks]
    assert widths == pytest.approx([widths[2] / 4, widths[2] / 2, widths[2]], abs=0.11)
    (box,) = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert all(0 <= left <= right <= float(box[0]) for left, _, right, _, _ in marks)
    assert all(0 <= top < bottom <= float(box[1]) for _, top, _, bottom, _ in marks)


def test_a_figure_of_a_page_has_its_colours_and_no_style_sheet() -> None:
    svg = to_svg(lambda: charts.confusion(["a", "b"], [[3, 1], [0, 4]]), "x")
    assert "<style" not in svg
    assert INK not in svg
    assert HEAT not in svg
    assert "var(--heat)" in svg
    assert "currentColor" in svg
    assert [mark[4] for mark in marks_of(svg)] == [
        "b predicted as b: 100.0 %",
        "a predicted as a: 75.0 %",
        "a predicted as b: 25.0 %",
    ]


def test_numbers_stand_beyond_whiskers_also_at_zero() -> None:
    per_class = {"A": [[0.0, 0.4, None], [0.0, 0.6, None]]}
    score = Scores(accuracy={"A": [0.2, 0.3]}, per_class=per_class, seconds=0, protocol={}, trained_on={})
    figure = charts.per_class(["never", "half", "untested"], score, "A")
    (axes,) = figure.axes
    numbers = {text.get_text(): text.xy[0] for text in axes.texts if isinstance(text, Annotation)}
    assert numbers == pytest.approx({"0": 0.0, "50": 50 + 14.142}, abs=0.01)
    assert [mark[4] for mark in figure.marks()] == ["never: 0.0 ± 0.0 %", "half: 50.0 ± 14.1 %"]


def test_no_run_has_the_colour_of_a_baseline() -> None:
    assert not {RANDOM_COLOUR, WHOLE_COLOUR} & set(COLOURS)
