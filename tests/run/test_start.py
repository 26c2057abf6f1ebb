"""A run that starts from a finished set, and the learning rate over a run."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from datacondense import InputError, condense, label, load_set
from datacondense.cli.app import main
from datacondense.methods import DC, DistributionMatching, Random

FIRST = DistributionMatching(iterations=3, batch_real=8, lr=0.3, arch="ConvNetD1", augment="none")
NEXT = DC(iterations=2, batch_real=8, arch="ConvNetD1")


def test_the_first_images_are_those_of_the_set(toy) -> None:
    start = condense(FIRST, toy(), ipc=2)
    assert torch.equal(condense(replace(NEXT, iterations=0), toy(), ipc=2, start=start).images, start.images)
    before = start.images.clone()
    made = condense(NEXT, toy(), ipc=2, start=start)
    assert not torch.equal(made.images, before)
    assert torch.equal(start.images, before)
    assert not torch.equal(made.images, condense(NEXT, toy(), ipc=2).images)


def test_what_was_started_from_is_recorded(toy, tmp_path) -> None:
    start = condense(FIRST, toy(), ipc=2, out=tmp_path / "first")
    made = condense(NEXT, toy(), ipc=2, start=start, out=tmp_path / "next")
    told = made.provenance.start
    assert (told["method"], told["settings"]) == ("dm", FIRST.settings())
    assert told["sha256"] == start.fingerprint()
    assert load_set(tmp_path / "next").provenance.start == told
    assert start.provenance.start == {}


def test_resuming_needs_the_same_start(toy, tmp_path) -> None:
    start, other = (condense(FIRST, toy(), ipc=2, seed=seed) for seed in (0, 1))
    whole = condense(NEXT, toy(), ipc=2, start=start)
    condense(NEXT, toy(), ipc=2, start=start, out=tmp_path / "run", time_budget=1e-9)
    for wrong in (None, other):
        with pytest.raises(InputError, match=r"cannot resume .* the set it starts from differs"):
            condense(NEXT, toy(), ipc=2, start=wrong, out=tmp_path / "run", resume=True)
    assert torch.equal(
        condense(NEXT, toy(), ipc=2, start=start, out=tmp_path / "run", resume=True).images, whole.images
    )


def test_resuming_takes_an_equal_set_however_it_was_made(toy, tmp_path) -> None:
    start = condense(FIRST, toy(), ipc=2)
    whole = condense(NEXT, toy(), ipc=2, start=start)
    for entries in ({"wall_seconds": 1e4}, {"wall_seconds": None}, {"method": "other", "settings": {}, "seed": 9}):
        condense(NEXT, toy(), ipc=2, start=start, out=tmp_path / "run", time_budget=1e-9, overwrite=True)
        again = replace(start, provenance=start.provenance.changed(**entries))
        made = condense(NEXT, toy(), ipc=2, start=again, out=tmp_path / "run", resume=True)
        assert torch.equal(made.images, whole.images)
        assert made.provenance.start["sha256"] == start.fingerprint()
        assert made.seconds is None or made.seconds > (entries.get("wall_seconds") or 0.0)


def test_a_set_that_does_not_fit_is_refused(toy) -> None:
    start = condense(FIRST, toy(), ipc=2)
    with pytest.raises(InputError, match="--start: the set has 2 images of each class"):
        condense(NEXT, toy(), ipc=3, start=start)
    with pytest.raises(InputError, match="--start: random does not optimise the pixels"):
        condense(Random(), toy(), ipc=2, start=start)
    with pytest.raises(InputError, match=r"--start: the set comes from another dataset \(shape"):
        condense(NEXT, toy(side=12), ipc=2, start=start)


def test_from_the_command_line(tmp_path, capsys) -> None:
    common = ["--data", "digits", "--ipc", "1", "--iterations", "1", "--batch-real", "4", "--compile", "off"]
    assert main(["condense", "dm", *common, "--out", str(tmp_path / "first")]) == 0
    begin = ["--start", str(tmp_path / "first"), "--out", str(tmp_path / "next")]
    assert main(["condense", "dsa", *common, *begin]) == 0
    made = load_set(tmp_path / "next").provenance.start
    assert made["sha256"] == load_set(tmp_path / "first").fingerprint()
    assert main(["condense", "dm", *common, "--start", str(tmp_path / "none"), "--out", str(tmp_path / "x")]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_a_constant_learning_rate_and_one_on_a_cosine() -> None:
    assert [FIRST.rate(done) for done in (0.0, 0.5, 1.0)] == [1.0] * 3
    cosine = replace(FIRST, schedule="cosine")
    assert [cosine.rate(done) for done in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.505, 0.01])


def test_adam_moves_each_pixel_by_the_learning_rate_at_first(toy) -> None:
    method = replace(FIRST, iterations=1, lr=0.05, adam=True)
    moved = condense(method, toy(), ipc=2).images - condense(replace(method, iterations=0), toy(), ipc=2).images
    far = moved.abs() > 1e-3
    assert far.float().mean() > 0.9
    torch.testing.assert_close(moved[far].abs(), torch.full_like(moved[far], 0.05), rtol=0.02, atol=0)


@pytest.mark.parametrize("form", [{}, {"form": "tiles"}])
def test_a_run_from_a_labelled_set_takes_the_class_of_each_image_and_not_its_label(form: dict[str, Any], toy) -> None:
    """The labels of a teacher may be largest for another class than that of the image."""
    real, method = toy(), replace(FIRST, iterations=0, **form)
    start = condense(method, real, ipc=2)
    taught = label(start, real, moment=1.0, temperature=1.0, training_steps=8)
    odd = replace(taught, labels=taught.labels.roll(1, dims=1))
    with pytest.warns(UserWarning, match="soft labels: the run begins with its classes"):
        found = condense(replace(FIRST, iterations=0), real, ipc=2 * start.views, start=odd)
    assert torch.equal(found.images, start.images)
    assert torch.equal(found.labels, start.labels)
