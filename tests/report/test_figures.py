"""Figures of scores: written whole, of a sane size, and with nothing where there is no score."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from PIL import Image

from datacondense.evaluation.scores import Scores
from datacondense.report.charts import confusion
from datacondense.report.figures import bars, save_bars, save_heat_map
from datacondense.report.marked import COLOURS, RANDOM_COLOUR, WHOLE_COLOUR, to_files, to_svg

MANY = {f"ConvNetW{width}": [0.5, 0.6] for width in range(10, 22)}
BOTH = pytest.mark.parametrize("draw", [save_bars, save_heat_map])


def scores(accuracy: dict[str, list[float]]) -> Scores:
    return Scores(accuracy=accuracy, per_class={}, seconds=0, protocol={}, trained_on={})


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3)."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def white(image: np.ndarray) -> int:
    return int((image == 255).all(2).sum())


@BOTH
def test_a_single_number_makes_a_figure(draw, tmp_path: Path) -> None:
    draw({"dm": scores({"MLP": [0.7]})}, tmp_path / "one.png")
    height, width, _ = pixels(tmp_path / "one.png").shape
    assert 200 < height < 1000
    assert 300 < width < 1000
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


@BOTH
def test_more_networks_make_a_wider_figure(draw, tmp_path: Path) -> None:
    few = {arch: MANY[arch] for arch in list(MANY)[:3]}
    for name, accuracy in {"few": few, "many": MANY}.items():
        draw({"dc": scores(accuracy), "dsa": scores(accuracy), "random real": scores(accuracy)}, tmp_path / name)
    assert 1.5 * pixels(tmp_path / "few").shape[1] < pixels(tmp_path / "many").shape[1] < 6000


def test_more_sets_make_a_higher_heat_map(tmp_path: Path) -> None:
    for count in (1, 8):
        save_heat_map({f"set {index}": scores(MANY) for index in range(count)}, tmp_path / str(count))
    assert 2 * pixels(tmp_path / "1").shape[0] < pixels(tmp_path / "8").shape[0]


def test_a_missing_network_leaves_a_blank_in_the_heat_map(tmp_path: Path) -> None:
    whole, part = {"A": [0.1], "B": [0.9], "C": [0.5]}, {"A": [0.1], "C": [0.5]}
    save_heat_map({"one": scores(whole), "two": scores(whole)}, tmp_path / "whole")
    save_heat_map({"one": scores(whole), "two": scores(part)}, tmp_path / "part")
    full, blank = pixels(tmp_path / "whole"), pixels(tmp_path / "part")
    assert full.shape == blank.shape
    changed = (full != blank).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    cell = blank[rows[2] : rows[-2], columns[2] : columns[-2]]  # without its edge
    assert (cell == 255).all()
    assert cell.shape[0] > 40
    assert cell.shape[1] > 100


def test_a_missing_network_leaves_a_gap_between_the_bars(tmp_path: Path) -> None:
    whole, part = {"A": [0.5, 0.6], "B": [0.5, 0.6]}, {"A": [0.5, 0.6]}
    save_bars({"one": scores(whole), "two": scores(whole)}, tmp_path / "whole")
    save_bars({"one": scores(whole), "two": scores(part)}, tmp_path / "part")
    full, gap = pixels(tmp_path / "whole"), pixels(tmp_path / "part")
    assert full.shape == gap.shape
    assert white(gap) > white(full) + 5000


@BOTH
@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
def test_the_ends_of_the_scale_can_be_drawn(draw, values: list[float], tmp_path: Path) -> None:
    draw({"one": scores({"A": values}), "two": scores({"A": values})}, tmp_path / "x.png")
    assert white(pixels(tmp_path / "x.png")) > 1000


@BOTH
def test_where_nothing_can_be_written_the_path_is_named(draw, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        draw({"one": scores({"A": [0.5]})}, tmp_path / "absent" / "x.png")
    assert "absent" in str(error.value)


def test_baselines_are_grey_beside_sets() -> None:
    def colour(bars: Any) -> str:
        return to_hex(bars.patches[0].get_facecolor())

    names = "dm ipc 1", "random real ipc 1", "dc ipc 1", "whole set"
    (axes,) = bars(dict.fromkeys(names, scores({"A": [0.5, 0.6]}))).axes
    drawn = [one for one in axes.containers if isinstance(one, BarContainer)]
    assert [colour(one) for one in drawn] == [COLOURS[0], RANDOM_COLOUR, COLOURS[1], WHOLE_COLOUR]


def test_letters_that_the_font_lacks_are_drawn_without_a_warning(tmp_path: Path) -> None:
    names = ("\u65e5\u672c", "\U0001f600", "\u0628\u0627\u0628", "\u0915\u094d\u0937")
    counts = np.eye(4, dtype=int).tolist()
    assert names[0] in to_svg(partial(confusion, names, counts), "one")
    assert set(to_files(partial(confusion, names, counts))) == {".svg", ".png"}
    save_bars({name: scores({"MLP": [0.5, 0.6]}) for name in names}, tmp_path / "bars.png")
    save_heat_map({name: scores({"MLP": [0.5, 0.6]}) for name in names}, tmp_path / "map.png")
