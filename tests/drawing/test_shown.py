"""Sets and scores as people see them: one line, a summary, pictures in a notebook, a chart."""

import base64
import io
import re
import sys
from dataclasses import replace

import numpy as np
import pandas
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from datacondense import InputError, Scores, SyntheticSet, condense, evaluate, image_set
from datacondense.methods import DistributionMatching
from datacondense.pictures import draw_grid

METHOD = DistributionMatching(iterations=1, batch_real=4, arch="ConvNetD1")


@pytest.fixture
def made(toy) -> SyntheticSet:
    return condense(METHOD, toy(), 2)


def picture(html: str) -> Image.Image:
    """The picture that HTML shows."""
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_each_is_one_line(toy, made: SyntheticSet) -> None:
    assert repr(toy()) == "ImageSet('toy', 120 images, 3 classes, 1x8x8)"
    assert repr(made) == "SyntheticSet('toy' by dm, 6 images, 3 classes, 2 per class, 1x8x8)"
    soft = replace(made, labels=torch.full((6, 3), 1 / 3))
    assert repr(soft).endswith("1x8x8, soft labels)")


def test_a_name_from_a_file_cannot_write_to_the_screen_or_the_page(made: SyntheticSet) -> None:
    named = replace(made, spec=replace(made.spec, name="<script>\x1b[2J"))
    assert "\x1b" not in repr(named) + named.summary()
    assert "<script>" not in named._repr_html_()


def test_the_summary_tells_what_it_is_and_what_it_takes(toy, made: SyntheticSet) -> None:
    facts = dict(line.split(maxsplit=1) for line in made.summary().splitlines())
    assert facts["method"] == "dm"
    assert "iterations 1" in facts["settings"]
    assert facts["images"] == "6, 2 of each class"
    assert facts["stored"] == f"{6 * 64 * 4 + 6:,} bytes"
    assert repr(made.summary()) == str(made.summary())
    assert "40 of each class" in toy().summary()


def test_a_notebook_shows_the_grid(toy, made: SyntheticSet) -> None:
    assert picture(made._repr_html_()).tobytes() == draw_grid(made).tobytes()
    assert made.show().tobytes() == draw_grid(made).tobytes()
    assert made.show(classes=[1], per_class=1).size < made.show().size
    real = toy()
    assert picture(real._repr_html_()).tobytes() == real.show().tobytes()


def test_the_pictures_are_those_of_the_images() -> None:
    pixels = np.zeros((2, 1, 4, 4), np.uint8)
    pixels[1] = 255
    real = image_set(pixels, [0, 1], name="two", mean=[0.5], std=[0.5])
    shown = np.asarray(real.show())
    assert (shown == 0).sum() >= 64 * 64
    colour = image_set(np.full((2, 3, 4, 4), 7, np.uint8), [0, 1], name="two", mean=[0.5] * 3, std=[0.5] * 3)
    assert colour.show().mode == "RGB"


def test_of_many_classes_a_notebook_shows_the_first() -> None:
    labels = np.arange(60) % 30
    real = image_set(np.random.default_rng(0).integers(0, 255, (60, 4, 4), np.uint8), labels, name="many")
    assert "the first 20 of 30 classes" in real._repr_html_()


def test_soft_labels_stand_below_the_images(made: SyntheticSet) -> None:
    soft = replace(made, labels=torch.nn.functional.one_hot(made.labels, 3).float())
    assert soft.show().tobytes() == draw_grid(soft).tobytes()
    assert soft.show().size > made.show().size


def test_a_figure_is_one_that_a_notebook_displays(made: SyntheticSet, tmp_path) -> None:
    figure = made.plot()
    assert isinstance(figure, Figure)
    shown = Image.open(io.BytesIO(figure._repr_png_()))  # pyright: ignore[reportAttributeAccessIssue]
    assert shown.size == made.show().size
    figure.savefig(tmp_path / "set.svg")
    assert (tmp_path / "set.svg").stat().st_size > 1000


@pytest.fixture
def scores(toy, made: SyntheticSet) -> Scores:
    return evaluate(made, toy(draw=1), train=toy(), nets=2, epochs=1, beside=["random", "whole"], whole_epochs=1)


def test_scores_are_a_line_a_table_and_a_frame(scores: Scores) -> None:
    mean, std = 100 * scores.mean("ConvNetD1"), 100 * scores.std("ConvNetD1")
    first, *others = repr(scores)[len("Scores(") : -1].split("; ")
    assert first == f"dm: ConvNetD1 {mean:.1f} ± {std:.1f} %, n = 2"
    assert [other.partition(":")[0] for other in others] == ["random real", "whole set"]
    html = scores._repr_html_()
    assert re.findall(r"<tr><td>([^<]+)</td><td>(\d+)</td>", html) == [
        ("dm", "6"),
        ("random real", "6"),
        ("whole set", "120"),
    ]
    assert f"{mean:.1f} ± {std:.1f}" in html
    frame = scores.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["mean"].tolist() == scores.to_dict()["mean"]
    assert frame["trained_on"].tolist() == ["dm", "random real", "whole set"]
    assert frame["n"].tolist() == [2, 2, 2]


def test_scores_draw_a_bar_for_each_set(scores: Scores) -> None:
    figure = scores.plot()
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["dm", "random real", "whole set"]
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    expected = [100 * one.mean("ConvNetD1") for one in (scores, *scores.beside.values())]
    assert heights == pytest.approx(expected)


def test_files_hold_the_scores_of_baselines_apart(scores: Scores) -> None:
    assert "beside" not in scores.to_json()
    assert scores.to_json() == replace(scores, beside={}).to_json()


def test_without_pandas_the_way_out_is_named(scores: Scores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"needs pandas: pip install pandas, or take to_dict\(\)"):
        scores.to_pandas()
