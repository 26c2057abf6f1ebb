import json
import math

import pytest
import torch

from datacondense import InputError, Scores, Spec
from datacondense.data.spec import check_names
from datacondense.utils.streams import Streams


def test_spec_survives_json(toy) -> None:
    spec = toy(channels=3).spec
    assert Spec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_denormalise_undoes_normalise(toy) -> None:
    real = toy(channels=3)
    images = real.spec.normalise(real.images)
    assert images.dtype == torch.float32
    assert torch.equal((real.spec.denormalise(images) * 255).round().to(torch.uint8), real.images)


def test_draw_is_without_replacement_within_the_right_class(toy) -> None:
    real = toy(sizes=(5, 9, 40))
    index = real.draw(5, Streams(0)("real"))
    assert index.shape == (3, 5)
    for label, row in enumerate(index):
        assert len(set(row.tolist())) == 5
        assert (real.labels[row] == label).all()


def test_draw_reaches_every_image_about_equally(toy) -> None:
    real = toy(sizes=(4, 8))
    hits = torch.zeros(12)
    for iteration in range(600):
        hits[real.draw(2, Streams(0).at(iteration)("real")).flatten()] += 1
    # 600 draws of 2 among 4: 300 each (standard deviation 12); of 2 among 8: 150 each (11)
    assert (hits[:4] - 300).abs().max() < 60
    assert (hits[4:] - 150).abs().max() < 55


@pytest.mark.parametrize("batch", [7, 60])
def test_a_small_class_is_taken_whole_and_filled_up(toy, batch: int) -> None:
    real = toy(sizes=(5, 40))
    with pytest.warns(UserWarning, match=r"class '0' \(5 images\)"):
        index = real.draw(batch, Streams(0)("real"))
    assert index.shape == (2, batch)
    assert set(index[0].tolist()) == set(range(5))
    assert (real.labels[index[1]] == 1).all()
    assert len(set(index[1].tolist())) == min(batch, 40)


def test_sample_is_normalised_images_of_the_drawn_positions(toy) -> None:
    real = toy()
    images = real.sample(3, Streams(0)("real"))
    index = real.draw(3, Streams(0)("real"))
    assert torch.equal(images, real.spec.normalise(real.images[index]))


def test_scores_mean_and_sample_deviation() -> None:
    scores = Scores({"a": [0.5, 0.7], "b": [0.5]}, {}, 1.0, {}, {})
    assert scores.mean("a") == pytest.approx(0.6)
    assert scores.std("a") == pytest.approx(math.sqrt(0.02))
    assert math.isnan(scores.std("b"))


@pytest.mark.parametrize("name", ["", "a\tb", "a\n", "\x7f", "\u2028", "\ud800", "x" * 1001])
def test_names_that_cannot_be_drawn_are_refused(name: str) -> None:
    check_names(["owl", "é 日本"])
    with pytest.raises(InputError, match="is not one line of 1 to 1000 letters"):
        check_names(["owl", name])


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(InputError, match="class name 'owl' occurs twice"):
        check_names(["owl", "wren", "owl"])
