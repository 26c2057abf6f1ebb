"""Every matching method in every stored form and number format on a toy."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from observing import Losses, StopAfter, same
from toy_methods import TOY

from datacondense import ImageSet, InputError, Method, Random, condense, estimate, evaluate, load_set
from datacondense.evaluation.baselines import baselines
from datacondense.methods import DistributionMatching, Matching
from datacondense.synthetic.decoders import DECODERS
from datacondense.synthetic.stored import Encoded, Store

FORMS = {
    "pixels": {"store": "f16"},
    "tiles": {"factor": 2},
    "tiles-3-u8": {"factor": 3, "store": "u8"},
    "dct": {"coefficients": 16},
    "dct-u8": {"coefficients": 9, "store": "u8"},
}
VIEWS = {"pixels": 1, "tiles": 4, "tiles-3-u8": 9, "dct": 4, "dct-u8": 7}
pytestmark = [
    pytest.mark.filterwarnings("ignore:a batch of 16 images"),
    pytest.mark.filterwarnings("ignore:.*fewer than .* training images"),
]
every_matching_method = pytest.mark.parametrize(
    "name", [name for name, method in TOY.items() if isinstance(method, Matching)]
)
every_form = pytest.mark.parametrize("form", FORMS)


def in_form(name: str, form: str) -> Matching:
    """Return the toy method in a form."""
    method = TOY[name]
    assert isinstance(method, Matching)
    return replace(method, iterations=3, form=form.partition("-")[0], **FORMS[form])


def test_every_decoder_is_a_form() -> None:
    assert {form.partition("-")[0] for form in FORMS} == set(DECODERS)


@every_matching_method
@every_form
def test_a_set_has_ipc_times_views_images_as_its_file_gives_them(name: str, form: str, toy, tmp_path: Path) -> None:
    losses = Losses()
    made = condense(in_form(name, form), toy(channels=3), ipc=2, out=tmp_path / "run", observers=[losses])
    assert len(losses.values) == 3
    assert made.counts.tolist() == [2 * VIEWS[form]] * made.spec.classes
    assert made.classes.tolist() == sorted(made.classes.tolist())
    assert isinstance(made.stored, Encoded)
    assert made.stored.store == FORMS[form].get("store", "f32")
    back = load_set(tmp_path / "run")
    assert same(back, made)
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())
    assert recorded["settings"]["form"] == form.partition("-")[0]


@every_matching_method
@every_form
def test_interrupted_and_resumed_equals_uninterrupted(name: str, form: str, toy, tmp_path: Path) -> None:
    method = in_form(name, form)
    whole = condense(method, toy(), ipc=1, out=tmp_path / "whole")
    condense(method, toy(), ipc=1, out=tmp_path / "parts", observers=[StopAfter(2)])
    again = condense(method, toy(), ipc=1, out=tmp_path / "parts", resume=True)
    assert again.provenance.iterations_done == method.iterations
    assert same(whole, again)


@every_matching_method
@every_form
def test_images_move_from_where_they_started(name: str, form: str, toy) -> None:
    method = in_form(name, form)
    begun = condense(replace(method, iterations=0), toy(), ipc=1)
    made = condense(method, toy(), ipc=1)
    moved = (made.images - begun.images).flatten(1).abs().amax(1)
    assert float(moved.min()) > 0


@every_form
@pytest.mark.parametrize("init", ["real", "kmeans", "noise"])
def test_every_start(form: str, init: str, toy) -> None:
    made = condense(replace(in_form("dm", form), init=init, iterations=1), toy(sizes=(9, 30)), ipc=1)
    assert made.counts.tolist() == [VIEWS[form]] * 2
    assert bool(torch.isfinite(made.images).all())


@every_form
def test_chunks_of_classes_give_the_same_sum(form: str, toy) -> None:
    whole = condense(replace(in_form("dm", form), augment="none"), toy(), ipc=1)
    parts = condense(replace(in_form("dm", form), augment="none"), toy(), ipc=1, classes_at_once=1)
    torch.testing.assert_close(whole.images, parts.images, atol=2e-2, rtol=1e-2)


@every_form
def test_a_run_starts_from_a_set_of_the_same_form_without_loss(form: str, toy) -> None:
    method = in_form("dm", form)
    first = condense(method, toy(), ipc=2)
    again = condense(replace(method, iterations=0), toy(), ipc=2, start=first)
    torch.testing.assert_close(again.images, first.images, atol=1e-2, rtol=1e-2)


def test_a_run_in_tiles_starts_from_a_set_of_pixels(toy) -> None:
    pixels = condense(TOY["random"], toy(), ipc=8)
    tiles = replace(in_form("dm", "tiles"), iterations=0)
    made = condense(tiles, toy(), ipc=2, start=pixels)
    assert made.counts.tolist() == [8] * made.spec.classes
    with pytest.raises(InputError, match="--start: the set has 8 images of each class: use --ipc 2"):
        condense(tiles, toy(), ipc=1, start=pixels)


@pytest.mark.parametrize("store", ["f32", "f16", "u8"])
def test_selected_images_are_stored_in_any_format(store: Store, toy, tmp_path: Path) -> None:
    method = Random(arch="ConvNetD1", store=store)
    real = toy(sizes=(3, 20))
    made = condense(method, real, ipc=5, out=tmp_path / "run")
    assert made.counts.tolist() == [3, 5]
    exact = condense(Random(arch="ConvNetD1"), real, ipc=5)
    torch.testing.assert_close(made.images, exact.images, atol=0.05, rtol=0.01)
    assert same(load_set(tmp_path / "run"), made)


def test_what_is_evaluated_is_what_was_stored(toy, tmp_path: Path) -> None:
    made = condense(in_form("dm", "tiles-3-u8"), toy(), ipc=1, out=tmp_path / "run")
    options = {"nets": 1, "epochs": 3, "archs": ["ConvNetD1"]}
    assert evaluate(made, toy(), **options).accuracy == evaluate(load_set(tmp_path / "run"), toy(), **options).accuracy


def test_random_images_beside_a_set_have_its_bytes(toy) -> None:
    made = condense(in_form("dm", "tiles"), toy(), ipc=2)
    ((name, beside),) = baselines([made], toy(), "ConvNetD1").items()
    assert name == "random real"
    assert beside.counts.tolist() == [2] * made.spec.classes


def test_the_estimate_counts_views(toy) -> None:
    assert estimate(in_form("dm", "tiles"), toy(), ipc=2).images == 2 * 4 * toy().spec.classes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "tile"}, "unknown form 'tile'.*tiles"),
        ({"form": "tiles", "factor": 9}, "--factor 9: images of 8 x 8 have fewer pixels"),
        ({"form": "tiles", "factor": 0}, "--factor 0: must be at least 1"),
        ({"form": "dct", "coefficients": 65}, "--coefficients 65: images of 64 pixels have 64"),
        ({"store": "f8"}, "--store f8: use one of f32, f16, u8"),
    ],
)
def test_impossible_forms_are_refused_before_anything_is_written(settings, message: str, toy, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        condense(DistributionMatching(iterations=1, **settings), toy(), ipc=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_values_beyond_float16_are_a_divergence(toy, tmp_path: Path) -> None:
    from datacondense import Diverged

    method: Method = DistributionMatching(iterations=3, lr=1e6, arch="ConvNetD1", store="f16", batch_real=16)
    real: ImageSet = toy()
    with pytest.raises(Diverged, match=r"do not fit f16|no longer finite"):
        condense(method, real, ipc=1, out=tmp_path / "run")
    assert bool(torch.isfinite(load_set(tmp_path / "run").images).all())
