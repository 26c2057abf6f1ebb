"""What is done to the images after each update: pixels are clamped, and their moving average is the result."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from observing import StopAfter, same
from torch import Tensor

from datacondense import InputError, Observer, SyntheticSet, condense, load_set
from datacondense.methods import DistributionMatching, KernelRegression, Matching
from datacondense.run import snapshots
from datacondense.synthetic.stored import Encoded

METHOD = DistributionMatching(iterations=5, batch_real=16, lr=30.0, arch="ConvNetD1", augment="none")
pytestmark = pytest.mark.filterwarnings("ignore:.*fewer than .* training images")


class Images(Observer):
    """Remembers the images that are shown after each iteration."""

    def __init__(self) -> None:
        self.shown: list[Tensor] = []

    def images(self, iteration: int, synthetic: SyntheticSet) -> None:
        self.shown.append(synthetic.images.clone())


def trajectory(method: Matching, toy) -> list[Tensor]:
    """Return the images before the first and after each iteration."""
    return [condense(replace(method, iterations=n), toy(), ipc=2).images for n in range(method.iterations + 1)]


@pytest.mark.parametrize("decay", [0.2, 0.9])
def test_the_result_is_the_moving_average_of_the_images_after_each_update(decay: float, toy) -> None:
    first, *rest = trajectory(METHOD, toy)
    average = first
    for t, images in enumerate(rest):
        d = min(decay, (1 + t) / (10 + t))
        average = d * average + (1 - d) * images
    made = condense(replace(METHOD, average=decay), toy(), ipc=2).images
    torch.testing.assert_close(made, average, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(made, rest[-1], atol=1e-2)


def test_learned_labels_are_averaged_with_the_images(toy, tmp_path: Path) -> None:
    method = KernelRegression(iterations=4, batch_real=8, networks="fresh", arch="ConvNetD1", augment="none")
    method = replace(method, schedule="constant", lr_labels=0.5, label_form="values")
    first, *rest = [condense(replace(method, iterations=n), toy(), ipc=2).labels for n in range(5)]
    average = first
    for t, labels in enumerate(rest):
        d = min(0.99, (1 + t) / (10 + t))
        average = d * average + (1 - d) * labels
    averaged = replace(method, average=0.99)
    found = condense(averaged, toy(), ipc=2, out=tmp_path / "whole")
    torch.testing.assert_close(found.labels, average, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found.labels, rest[-1], atol=0.1)
    condense(averaged, toy(), ipc=2, out=tmp_path / "parts", observers=[StopAfter(2)])
    assert same(found, condense(averaged, toy(), ipc=2, out=tmp_path / "parts", resume=True))


@pytest.mark.parametrize(
    "form", [{}, {"form": "tiles", "store": "u8"}, {"form": "dct", "coefficients": 16, "store": "f16"}]
)
def test_an_average_survives_a_stop_bit_for_bit(form, toy, tmp_path: Path) -> None:
    method = replace(METHOD, average=0.9, **form)
    whole = condense(method, toy(), ipc=2, out=tmp_path / "whole")
    condense(method, toy(), ipc=2, out=tmp_path / "parts", observers=[StopAfter(3)])
    again = condense(method, toy(), ipc=2, out=tmp_path / "parts", resume=True)
    assert again.provenance.iterations_done == 5
    assert same(whole, again)
    assert not same(whole, condense(replace(method, average=0.0), toy(), ipc=2))


def test_snapshots_and_observers_see_the_average(toy, tmp_path: Path) -> None:
    method, watching = replace(METHOD, average=0.9), Images()
    made = condense(method, toy(), ipc=2, out=tmp_path / "run", snapshots=5, observers=[watching])
    middle = condense(replace(method, iterations=3), toy(), ipc=2)
    taken = {one.iteration: one for one in map(snapshots.load, snapshots.paths(tmp_path / "run"))}
    assert torch.equal(taken[3].images, made.spec.pixels(middle.images))
    assert torch.equal(taken[5].images, made.spec.pixels(made.images))
    assert torch.equal(watching.shown[-1], made.images)


@pytest.mark.parametrize("store", ["f32", "f16", "u8"])
@pytest.mark.parametrize("form", ["pixels", "tiles"])
def test_clamped_pixels_are_pixels_in_the_file(form: str, store, toy, tmp_path: Path) -> None:
    method = replace(METHOD, lr=1000.0, form=form, store=store, clamp=True, average=0.5)
    real = toy(channels=3)
    out = condense(method, real, ipc=2, out=tmp_path / "run")
    low, high = -2.0, 2.0  # (0 - 0.5) / 0.25 and (1 - 0.5) / 0.25
    back = load_set(tmp_path / "run")
    assert same(back, out)
    stored = back.stored.decodable()["images"] if isinstance(back.stored, Encoded) else back.images
    for images in (stored, back.images):
        assert low - 1e-3 <= float(images.min()) < low + 0.2
        assert high - 0.2 < float(images.max()) <= high + 1e-3
    free = condense(replace(method, clamp=False), real, ipc=2)
    assert float(free.images.abs().max()) > 2.5


def test_noise_is_clamped_before_the_first_update(toy) -> None:
    made = condense(replace(METHOD, iterations=0, init="noise", clamp=True), toy(), ipc=40).images
    assert float(made.abs().max()) == 2.0
    assert math.isclose(float((made.abs() == 2.0).float().mean()), 0.0455, abs_tol=0.01)  # of a normal law, outside 2


def test_coefficients_cannot_be_clamped() -> None:
    with pytest.raises(InputError, match="--clamp needs --form pixels or tiles: it has no effect"):
        replace(METHOD, form="dct", clamp=True).check()
