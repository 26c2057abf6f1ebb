"""label(): soft labels of a teacher for a set, chosen on held-out training images alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic_sets import FORMS, generated
from torch import nn

import datacondense as dc
from datacondense import (
    DistributionMatching,
    ImageSet,
    InputError,
    Random,
    Recipe,
    SyntheticSet,
    condense,
    label,
    load_set,
)
from datacondense.augment.mix import MixKind
from datacondense.engine.execution import Compute
from datacondense.evaluation import labelling
from datacondense.evaluation.protocol import protocol_for
from datacondense.evaluation.teachers import online_teacher
from datacondense.evaluation.viewed_set import with_views
from datacondense.formats import Format, export, import_sets
from datacondense.report.footprint import measure
from datacondense.run.directory import RunDirectory
from datacondense.synthetic.set import FILE_NAME, save
from datacondense.synthetic.views import Viewed
from datacondense.utils import cache
from datacondense.utils.files import read_tensors, write_tensors

STEPS: Any = {"training_steps": 30}
QUICK: Any = {**STEPS, "trial_epochs": 2}


def made(real: ImageSet, **changes: object) -> SyntheticSet:
    return condense(Random(arch="MLP", augment="none"), real, 2, **changes)  # pyright: ignore[reportArgumentType]


def trained(real: ImageSet) -> nn.Module:
    """A small network after some steps on the real images."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, len(real.classes)))
    images, labels = real.batch(torch.arange(len(real)))
    sgd = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(40):
        sgd.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        sgd.step()
    return network


def test_labels_are_those_of_the_teacher_and_all_else_stays(toy) -> None:
    real = toy()
    before, network = made(real), trained(real)
    after = label(before, real, teacher=network, temperature=2.0)
    with torch.no_grad():
        expected = (network(before.images) / 2).softmax(1)
    assert torch.equal(after.labels, expected.half().float())
    assert torch.equal(after.images, before.images)
    assert after.tensors()["labels"].dtype == torch.float16
    record = dict(after.provenance.labels)
    assert record.pop("seconds") > 0
    classes = [[0, 2], [1, 2], [2, 2]]
    assert record == {"teacher": "module", "arch": "Sequential", "temperature": 2.0, "classes": classes}
    assert (after.spec, after.stored, after.recipe) == (before.spec, before.stored, before.recipe)
    assert network.training
    assert after.seconds is not None
    assert before.seconds is not None
    assert after.seconds > before.seconds


@pytest.mark.parametrize("form", [form for form in FORMS if form != "latents"])
def test_stored_images_stay_as_they_are_in_every_form(form: str, toy, tmp_path: Path) -> None:
    """And each view of a stored image has a label of its own."""
    real = toy()
    before = FORMS[form](real)
    after = label(before, real, teacher=trained(real), temperature=1.0, out=tmp_path / "run")
    read = load_set(tmp_path / "run")
    assert torch.equal(read.images, before.images)
    assert torch.equal(read.labels, after.labels)
    assert read.labels.shape == (len(before), 3)
    assert (read.stored is None) == (before.stored is None)
    stored = before.tensors()
    assert all(torch.equal(tensor, stored[name]) for name, tensor in read.tensors().items() if name != "labels")
    assert read.provenance == after.provenance


@pytest.mark.parametrize("to", ["npz", "hf", "pt"])
def test_labels_survive_export_and_import(to: Format, toy, tmp_path: Path) -> None:
    real = toy()
    after = label(made(real), real, teacher=trained(real), temperature=1.5)
    dest = tmp_path / (f"x.{to}" if to != "hf" else "x")
    export([after], to, dest)
    (run,) = import_sets(dest, None, tmp_path / "run")
    again = load_set(run)
    assert torch.equal(again.labels, after.labels)
    assert torch.equal(again.images, after.images)
    assert again.provenance.labels == after.provenance.labels


@pytest.mark.parametrize("k", [1, 2])
def test_the_largest_probabilities_are_stored_and_the_others_share_the_rest(k: int, toy, tmp_path) -> None:
    real = toy()
    before, network = FORMS["tiles"](real), trained(real)
    whole = label(before, real, teacher=network, temperature=4.0)
    after = label(before, real, teacher=network, temperature=4.0, top_k=k, out=tmp_path / "run")
    kept = whole.labels.topk(k, 1).indices
    assert torch.equal(after.labels.gather(1, kept), whole.labels.gather(1, kept))
    torch.testing.assert_close(after.labels.sum(1), torch.ones(len(after)), rtol=0, atol=1e-3)
    others = after.labels.scatter(1, kept, torch.inf)
    spread = others.masked_fill(others.isinf(), -1).amax(1) - others.amin(1)
    assert torch.equal(spread, torch.zeros(len(after)))
    read = load_set(tmp_path / "run")
    assert torch.equal(read.labels, after.labels)
    assert torch.equal(read.images, before.images)
    tensors = read.tensors()
    assert "labels" not in tensors
    assert [tuple(tensors[f"labels.{name}"].shape) for name in ("values", "classes")] == [(len(after), k)] * 2
    assert measure(read, png=False).labels == 3 * k * len(after)
    assert after.provenance.labels["top_k"] == k


@pytest.mark.parametrize("form", ["pixels", "u8", "tiles", "dct-u8"])
def test_views_have_labels_of_their_own_and_are_read_from_their_draws(form: str, toy, tmp_path: Path) -> None:
    real, network = toy(), trained(toy())
    before = FORMS[form](real)
    before = replace(before, provenance=before.provenance.changed(settings={"arch": "MLP", "augment": "crop_flip"}))
    after = label(before, real, teacher=network, temperature=1.0, views=3, out=tmp_path / "run")
    assert len(after) == 3 * len(before)
    assert after.views == 3 * before.views
    (usual,), (recipe,) = ([*protocol_for(one, nets=1).recipes.values()] for one in (before, after))
    assert recipe == replace(usual, epochs=round(usual.epochs / 3), batch=len(before))  # as many steps, as large
    first = after.images.unflatten(0, (-1, 3))
    assert not torch.equal(first[:, 0], first[:, 1])
    flipped = (first == before.images[:, None].flip(-1)).all(-1).all(-1).all(-1)
    assert flipped.any()
    with torch.no_grad():
        assert torch.equal(after.labels, network(after.images).softmax(1).half().float())
    read = load_set(tmp_path / "run")
    assert torch.equal(read.images, after.images)
    assert torch.equal(read.labels, after.labels)
    sizes = measure(before, png=False), measure(read, png=False)
    assert sizes[1].images == sizes[0].images + 7 * len(after)
    assert sizes[1].stored_images == sizes[0].stored_images
    assert after.provenance.labels["views"] == 3
    assert torch.equal(label(before, real, teacher=network, temperature=1.0, views=3).images, after.images)
    with pytest.raises(InputError, match="--views 2: the set has views already"):
        label(after, real, teacher=network, temperature=1.0, views=2)
    export([after], "npz", tmp_path / "x.npz")
    (run,) = import_sets(tmp_path / "x.npz", None, tmp_path / "back")
    assert torch.equal(load_set(run).images, after.images)
    assert torch.equal(load_set(run).labels, after.labels)


@pytest.mark.parametrize("kind", ["cutmix", "mixup"])
def test_mixed_views_hold_a_part_of_another_view(kind: MixKind, toy, tmp_path: Path) -> None:
    real, network = toy(), trained(toy())
    before = made(real)
    before = replace(before, provenance=before.provenance.changed(settings={"arch": "MLP", "augment": "crop_flip"}))
    plain = label(before, real, teacher=network, temperature=1.0, views=4)
    after = label(before, real, teacher=network, temperature=1.0, views=4, mix=kind, out=tmp_path / "run")
    assert isinstance(after.stored, Viewed)
    assert after.stored.mixing is not None
    partner, shares = after.stored.mixing.partner.long(), after.stored.mixing.shares.float()
    assert sorted(partner.tolist()) == list(range(len(after)))
    for place, image in enumerate(after.images):  # the views before they are mixed are those of a set without
        own, other, kept = plain.images[place], plain.images[partner[place]], float(shares[place, 0])
        if kind == "mixup":
            assert torch.allclose(image, kept * own + (1 - kept) * other)
            continue
        assert torch.equal(torch.where((image == other).all(0), other, own), image)
        changed = ((image == other) & (own != other)).float().mean() / (own != other).float().mean().clamp_min(1e-9)
        assert float(changed) <= 1 - kept + 0.35  # whole pixels of a small image, clipped at its border
    with torch.no_grad():
        assert torch.equal(after.labels, network(after.images).softmax(1).half().float())
    read = load_set(tmp_path / "run")
    assert torch.equal(read.images, after.images)
    assert torch.equal(read.labels, after.labels)
    assert measure(read, png=False).images == measure(plain, png=False).images + (4 + 6) * len(after)
    assert after.provenance.labels["mix"] == kind
    assert after.recipe is not None
    assert (after.recipe.augment, after.recipe.mix, after.recipe.lr, after.recipe.schedule) == (
        "none",
        "none",
        0.04,
        "cosine",
    )


def test_the_own_labels_of_mixed_views_are_mixed_alike(toy) -> None:
    before = made(toy())
    views = with_views(before, 3, "crop_flip", 0, "mixup")
    assert isinstance(views.stored, Viewed)
    assert views.stored.mixing is not None
    kept = views.stored.mixing.shares[:, :1].float()
    own = with_views(replace(before, recipe=Recipe(epochs=6, optimiser="adam", lr=3e-4)), 3, "crop_flip", 0, "mixup")
    assert own.recipe == Recipe(epochs=2, optimiser="adam", lr=3e-4, batch=len(before))  # only its augmentation goes
    rows = torch.eye(before.spec.classes)[before.labels.repeat_interleave(3)]
    assert torch.allclose(views.labels, kept * rows + (1 - kept) * rows[views.stored.mixing.partner.long()])


def test_draws_that_do_not_fit_are_refused(toy, tmp_path: Path) -> None:
    real = toy()
    before = made(real)
    before = replace(before, provenance=before.provenance.changed(settings={"arch": "MLP", "augment": "crop_flip"}))
    label(before, real, teacher=trained(real), temperature=1.0, views=2, mix="cutmix", out=tmp_path / "run")
    path = tmp_path / "run" / FILE_NAME
    tensors, header = read_tensors(path)
    config = header["decoder"]["config"]
    numbers, strategy = tensors["views.numbers"], tensors["views.strategy"]
    changes = [
        ({"views.numbers": numbers[1:]}, {}, "its draws have shapes"),
        ({"views.numbers": numbers + 1}, {}, "its draws are not those of the strategies that it names"),
        ({"views.strategy": strategy + 2}, {}, "its draws are not those of the strategies that it names"),
        ({}, {"strategies": "crop_wave"}, "its draws are not those of the strategies that it names"),
        ({}, {"each": 3}, "its 6 images do not have 12 views"),
        ({}, {"each": 0}, "its decoder is damaged"),
        ({}, {"mix": "cut"}, "its decoder is damaged"),
        ({"views.partner": tensors["views.partner"][1:]}, {}, "its partners have shapes"),
        ({"views.partner": tensors["views.partner"] - 1}, {}, "its partners are not views"),
        ({"views.shares": tensors["views.shares"] + 1}, {}, "its partners are not views, or their shares not between"),
        ({}, {"of": {"name": "views"}}, "its decoder is damaged"),
    ]
    for others, fields, message in changes:
        decoder = {**header["decoder"], "config": {**config, **fields}}
        write_tensors(path, {**tensors, **others}, {**header, "decoder": decoder})
        with pytest.raises(InputError, match=message):
            load_set(path)


def test_a_moment_and_a_temperature_that_are_given_are_taken_without_trials(toy) -> None:
    real = toy()
    first = label(made(real), real, moment=0.25, temperature=3.0, **STEPS)
    record = first.provenance.labels
    assert (record["teacher"], record["moment"], record["step"], record["temperature"]) == ("real", 0.25, 8, 3.0)
    assert "trials" not in record
    assert len(list((cache.folder() / "trajectories").glob("*.safetensors"))) == 1
    last = label(made(real), real, moment=1.0, temperature=3.0, **STEPS)
    assert len(list((cache.folder() / "trajectories").glob("*.safetensors"))) == 1
    assert not torch.equal(first.labels, last.labels)


def test_the_teacher_online_of_a_labelled_set_is_the_one_that_labelled_it(toy) -> None:
    real = toy()
    how: Any = {"moment": 0.25, "temperature": 3.0, "training_steps": 20, "training_lr": 0.05, "seed": 4}
    after = label(made(real), real, arch="LeNet", **how)
    online = online_teacher(after, real, "real", temperature=None, compute=Compute("cpu"), report=lambda *_: None)
    settings = online.settings()
    assert settings == {name: value for name, value in after.provenance.labels.items() if name in settings}
    assert torch.equal(online(after.images).half(), after.labels.half())
    other = online_teacher(made(real), real, "real", temperature=None, compute=Compute("cpu"), report=lambda *_: None)
    assert (other.settings()["arch"], other.settings()["steps"]) == ("MLP", 500)


def test_a_directory_that_was_not_written_to_the_end_is_written_again(toy, tmp_path: Path, monkeypatch) -> None:
    real, out = toy(), tmp_path / "run"
    given: Any = {"moment": 1.0, "temperature": 1.0, "out": out, **STEPS}
    with monkeypatch.context() as patch:
        patch.setattr(labelling, "write_outputs", interrupted)
        with pytest.raises(KeyboardInterrupt):
            label(made(real), real, **given)
    with pytest.raises(InputError, match="was to hold a labelled set and is incomplete: label the set again"):
        condense(Random(arch="MLP"), real, 2, out=out, resume=True)
    after = label(made(real), real, **given)
    assert RunDirectory(out).recorded()["status"] == "labelled"
    assert torch.equal(load_set(out).labels, after.labels)
    with pytest.raises(InputError, match="holds a run: replace it with --overwrite"):
        label(made(real), real, **given)
    (out / "run.json").unlink()
    with pytest.raises(InputError, match=r"files named like those of a run, but no run.json: name another"):
        label(made(real), real, overwrite=True, **given)


def interrupted(*_args: object) -> None:
    raise KeyboardInterrupt


def test_moment_and_temperature_are_chosen_on_held_out_training_images(toy) -> None:
    real = toy()
    after = label(made(real), real, **QUICK)
    record = after.provenance.labels
    own, *trials = record["trials"]
    assert own.keys() == {"accuracy"}
    pairs = [(one["moment"], one["temperature"]) for one in trials]
    assert pairs == [(moment, t) for moment in (0.25, 1.0) for t in (1.0, 2.0, 4.0)]
    best = max(trials, key=lambda one: one["accuracy"])
    assert (record["moment"], record["temperature"]) == (best["moment"], best["temperature"])
    assert (record["held_out"], record["real_images"]) == (12, 120)
    assert len(list((cache.folder() / "trajectories").glob("*.safetensors"))) == 2  # of nine tenths, and of all
    same = label(made(real), real, moment=best["moment"], temperature=best["temperature"], **STEPS)
    assert torch.equal(same.labels, after.labels)
    one = label(made(real), real, moment=1.0, trial_hold_out=0.2, **QUICK)
    assert [trial.get("moment") for trial in one.provenance.labels["trials"]] == [None, 1.0, 1.0, 1.0]
    assert one.provenance.labels["held_out"] == 24


def test_the_time_of_a_training_that_the_set_was_made_under_counts_once(toy) -> None:
    real = toy()
    method = DistributionMatching(
        iterations=1, arch="ConvNetD1", augment="none", networks="trained", training_steps=8, batch_real=8
    )
    under, other = condense(method, real, 1), condense(replace(method, networks="fresh"), real, 1)
    (file,) = (cache.folder() / "trajectories").glob("*.safetensors")
    tensors, key = read_tensors(file)
    write_tensors(file, {**tensors, "seconds": torch.tensor(5000.0, dtype=torch.float64)}, key)  # as if it had
    counted, alone = (label(one, real, moment=1.0, temperature=1.0).provenance.labels for one in (under, other))
    assert counted["steps"] == alone["steps"] == 8
    assert counted["seconds"] < 5000 < alone["seconds"]


def test_a_network_that_learned_the_set_of_another_run_is_a_teacher(toy, tmp_path: Path) -> None:
    real = toy()
    recipe = dc.Recipe(epochs=20, lr=0.1)
    other = replace(made(real), recipe=recipe)
    (tmp_path / "other").mkdir()
    save(other, tmp_path / "other" / FILE_NAME)
    by_run = label(made(real, seed=1), real, teacher=tmp_path / "other", temperature=1.0)
    record = by_run.provenance.labels
    assert record["set_sha256"] == other.fingerprint()
    assert (record["teacher"], record["method"], record["arch"], record["seed"]) == ("run", "random", "MLP", 1)
    assert record["recipe"] == recipe.to_json()
    assert len(list((cache.folder() / "teachers").glob("*.safetensors"))) == 1
    by_set = label(made(real, seed=1), real, teacher=other, temperature=1.0)
    assert torch.equal(by_set.labels, by_run.labels)
    assert not torch.equal(label(by_set, real, teacher=other, temperature=1.0, seed=2).labels, by_run.labels)
    with pytest.raises(InputError, match="holds the teacher's set: name another directory"):
        label(other, real, teacher=tmp_path / "other", temperature=1.0, out=tmp_path / "other", overwrite=True)


def test_a_file_is_a_teacher_and_one_with_permuted_classes_is_refused(toy, tmp_path: Path) -> None:
    real = toy()
    dc.NETWORKS["linear"] = lambda spec: nn.Sequential(nn.Flatten(), nn.Linear(64, 3))  # pyright: ignore[reportArgumentType]
    network = trained(real)
    torch.save(network.state_dict(), tmp_path / "linear.pt")
    before = made(real)
    after = label(before, real, teacher=tmp_path / "linear.pt", arch="linear", temperature=1.0)
    assert torch.equal(after.labels, label(before, real, teacher=network, temperature=1.0).labels)
    record = after.provenance.labels
    assert (record["teacher"], record["file"], record["arch"]) == ("file", "linear.pt", "linear")
    assert len(record["sha256"]) == 64
    turned = {name: one.roll(1, 0) for name, one in network.state_dict().items()}
    torch.save(turned, tmp_path / "turned.pt")
    with pytest.raises(InputError, match=r"turned.pt classifies .* its classes have another order"):
        label(before, real, teacher=tmp_path / "turned.pt", arch="linear", temperature=1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"moment": 0.3}, r"--moment 0\.3: use one of 0\.00625, 0\.0125, .*, 0\.75, 1$"),
        ({"moment": 2.0}, "--moment 2: must be above 0 and at most 1"),
        ({"temperature": 0.0}, "--temperature 0: must be above 0"),
        ({"top_k": 3}, "--top-k 3: there are 3 classes: use fewer, or leave it out"),
        ({"mix": "cutmix"}, "--mix cutmix: mixes views: give their number, such as --views 20"),
        ({"views": 2, "mix": "cut"}, "unknown mixing 'cut'"),
        ({"views": 2}, "--views 2: the set was made without augmentation, so its views would all be alike"),
        ({"training_steps": 0}, "--training-steps 0: must be at least 1"),
        ({"teacher": nn.Identity(), "moment": 0.5}, r"--moment 0\.5: is for --teacher real alone: leave it out"),
        ({"teacher": "nowhere.pt"}, r"no teacher at nowhere\.pt: give real, a run directory, or a file of weights"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict, message: str, toy) -> None:
    real = toy()
    with pytest.raises(InputError, match=message):
        label(made(real), real, **options)


def test_latents_and_other_data_are_refused(toy) -> None:
    real = toy()
    with pytest.raises(InputError, match="latents make their images by class, so they take no other labels"):
        label(generated(real), real)
    with pytest.raises(InputError, match="the training images of 'toy' do not fit the set made from 'toy': shape is"):
        label(made(real), toy(side=12))
