"""Training images that are held out: the same for all, to choose settings by, and never mixed with a test."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datacondense import InputError, load, load_set
from datacondense.cli.app import main
from datacondense.formats.accuracies import known_accuracies
from datacondense.report import write_report
from datacondense.utils import hardware

QUICK = "--data digits --arch ConvNetD1 --ipc 1 --iterations 4 --batch-real 8 --compile off"


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_small_classes_are_dropped_by_what_is_left_of_them() -> None:
    labels = np.repeat([0, 1, 2, 3], [1, 7, 30, 40])
    np.savez("some.npz", images=np.random.default_rng(0).integers(0, 255, (78, 8, 8), dtype=np.uint8), labels=labels)
    with pytest.warns(UserWarning, match="fewer than 6"):
        train, test = load("arrays:some.npz", hold_out=0.5, min_per_class=6)
    with pytest.warns(UserWarning, match="fewer than 6"):
        again, held = load("arrays:some.npz", hold_out=0.5, min_per_class=6, validation=True)
    assert train.spec.class_names == test.spec.class_names == held.spec.class_names == ("2", "3")
    assert train.counts.min() >= 6
    assert train.spec == again.spec == held.spec


def test_a_set_on_disk_is_not_copied_into_memory_that_is_not_there(tmp_path: Path, monkeypatch) -> None:
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    with monkeypatch.context() as patch:
        patch.setattr(hardware, "available_memory", lambda: 100)
        assert not load("folder:photos")[0].resident
        with pytest.raises(InputError, match="--hold-out copies the training images into memory, which takes"):
            load("folder:photos", hold_out=0.2)
    assert load("folder:photos", hold_out=0.2)[0].resident


def test_a_share_of_each_class_is_held_out_and_is_the_same_each_time() -> None:
    whole, test = load("digits")
    train, held = load("digits", hold_out=0.2, validation=True)
    again, tested = load("digits", hold_out=0.2)
    assert torch.equal(train.images, again.images)
    assert torch.equal(tested.images, test.images)
    assert len(train) + len(held) == len(whole)
    assert held.counts.tolist() == [round(0.2 * n) for n in whole.counts.tolist()]
    assert rows(train.images) | rows(held.images) == rows(whole.images)
    assert train.spec == whole.spec
    assert train.fingerprint() != whole.fingerprint()


def test_no_class_loses_its_only_image_or_all_of_its_images() -> None:
    np.savez(
        "set.npz",
        images=np.zeros((5, 8, 8)),
        labels=[0, 1, 1, 1, 1],
        test_images=np.zeros((2, 8, 8)),
        test_labels=[0, 1],
    )
    train, held = load("arrays:set.npz", hold_out=0.9, validation=True)
    assert (train.counts.tolist(), held.counts.tolist()) == ([1, 1], [0, 3])


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="must be at least 0 and below 1"):
        load("digits", hold_out=share)


def test_nothing_is_there_to_validate_on_unless_it_was_held_out(capsys) -> None:
    with pytest.raises(InputError, match="hold some out with --hold-out"):
        load("digits", validation=True)
    assert main(f"condense dm {QUICK} --out run".split()) == 0
    assert main("evaluate run --on validation".split()) == 2
    assert "run was made from all training images: condense with --hold-out 0.1" in capsys.readouterr().err


def test_validation_stands_apart_from_the_test(capsys) -> None:
    assert main(f"condense dm {QUICK} --hold-out 0.2 --snapshots 2 --out run".split()) == 0
    made = load_set("run")
    assert made.provenance.source["hold_out"] == 0.2
    assert made.provenance.data_sha256 == load("digits", hold_out=0.2)[0].fingerprint()
    common = "evaluate run --nets 2 --epochs 2"
    assert main(f"{common} --on validation".split()) == 0
    assert main(common.split()) == 0
    assert main(f"{common} --on validation --process".split()) == 0
    told = known_accuracies(made, Path("run"))["ConvNetD1"].values  # what an export tells of the set
    assert told == json.loads(Path("run/scores.jsonl").read_text().splitlines()[1])["dm"]["accuracy"]["ConvNetD1"]
    assert main(f"{common} --on validation".split()) == 0
    assert known_accuracies(made, Path("run"))["ConvNetD1"].values == told
    held = len(load("digits", hold_out=0.2, validation=True)[1])
    lines = Path("run/scores.jsonl").read_text().splitlines()
    on_validation, on_test, _ = (json.loads(line)["dm"] for line in lines)
    assert on_validation["protocol"]["tested_on"] == "validation"
    assert np.sum(on_validation["confusion"]["ConvNetD1"]) == 2 * held
    assert np.sum(on_test["confusion"]["ConvNetD1"]) == 2 * 360
    entries = json.loads(Path("run/process.json").read_text())
    assert [entry["iteration"] for entry in entries] == [0, 2, 4]
    assert all(entry["scores"]["protocol"]["tested_on"] == "validation" for entry in entries)
    last = entries[-1]["scores"]["accuracy"]["ConvNetD1"]
    assert np.allclose(last, on_validation["accuracy"]["ConvNetD1"], atol=0.05)  # but for the rounding to 8 bits
    write_report(["run"], "report.html", figures_in="figures")
    page = Path("report.html").read_text()
    assert "Accuracy over the iterations, on training images that were held out" in page
    assert Path("figures/run1-accuracy.png").exists()
    text = re.sub(r"<[^>]+>", " ", page)
    mean = 100 * np.mean(on_test["accuracy"]["ConvNetD1"])
    assert f"{mean:.1f}" in text


def test_the_way_of_a_run_is_that_of_one_run_with_snapshots(capsys) -> None:
    for name in ("one", "two"):
        assert (
            main(f"condense dm {QUICK} --seed {len(name + name)} --out {name} --lr {2 if name == 'two' else 1}".split())
            == 0
        )
    for arguments, said in {
        "evaluate one two --process": "--process takes one run directory, and no --beside",
        "evaluate one --process --beside random": "--process takes one run directory, and no --beside",
        "evaluate one --process": "one has no snapshots of its iterations: condense with --snapshots 10",
    }.items():
        assert main(arguments.split()) == 2
        assert said in capsys.readouterr().err


def test_a_resumed_run_leaves_the_same_images_out() -> None:
    assert main(f"condense dm {QUICK} --hold-out 0.3 --out whole".split()) == 0
    assert main(f"condense dm {QUICK} --hold-out 0.3 --time-budget 0.001s --out parted".split()) == 0
    assert main(f"condense dm {QUICK} --hold-out 0.3 --resume --out parted".split()) == 0
    assert torch.equal(load_set("whole").images, load_set("parted").images)
