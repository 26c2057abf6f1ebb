"""What `condense` says that it has decided for own images, and how many iterations it makes without being told."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datacondense import DC, DistributionMatching, Method, load, load_set
from datacondense.cli.app import main
from datacondense.cli.decisions import iterations_for
from datacondense.cli.parsing import parse
from datacondense.methods import KernelRegression, Random

QUICK = "--ipc 1 --iterations 1 --batch-real 2 --compile off".split()


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def photos(*, transparent: bool = True, test: bool = False) -> None:
    """Nine images of two classes, five of them with an alpha channel."""
    rng = np.random.default_rng(0)
    for name, count in (("cat", 5), ("dog", 4)):
        for part in ("train", "test") if test else ("",):
            folder = Path("photos", part, name)
            folder.mkdir(parents=True)
            for number in range(count):
                mode = "RGBA" if transparent and name == "cat" else "RGB"
                pixels = rng.integers(0, 256, (12, 12, len(mode)), dtype=np.uint8)
                Image.fromarray(pixels, mode).save(folder / f"{number}.png")


def lines(capsys: pytest.CaptureFixture[str], words: str) -> list[str]:
    assert main(["condense", *words.split(), *QUICK]) == 0
    return capsys.readouterr().out.splitlines()


def test_decisions_for_a_folder_are_one_line_each(capsys) -> None:
    photos()
    for run in ("a", "b"):  # the second time the images are in the cache
        found = lines(capsys, f"dm --data folder:photos --out {run}")
        assert found[:5] == [
            "training images: 7 of 2 classes: cat 4, dog 3; test images: 2",
            "transparent pixels: white, in 5 of 9 images with transparency",
            "test images: a fifth of each class, always the same, as there are no others",
            "mirroring: on; --no-flip if a mirrored image would be of another class, as letters and digits are",
            "network: ConvNet, whose depth suits images of 12x12; --arch names another",
        ]
    assert load_set("a").provenance.settings["arch"] == "ConvNet"


def test_what_was_not_decided_is_not_said(capsys) -> None:
    photos(transparent=False, test=True)
    found = lines(capsys, "dm --data folder:photos --no-flip --arch ConvNetD2 --out a")
    assert found[0] == "training images: 9 of 2 classes: cat 5, dog 4; test images: 9"
    assert not any(line.startswith(("transparent", "test", "mirroring", "network")) for line in found)
    made = load_set("a")
    assert not made.spec.flip
    assert made.provenance.source["flip"] is False
    assert "flip" not in made.provenance.settings["augment"]
    assert main("evaluate a --nets 1 --epochs 1".split()) == 0  # of the same images
    assert "does not hold the images" not in capsys.readouterr().err


def test_a_named_data_set_has_no_decisions_and_no_such_option(capsys) -> None:
    found = lines(capsys, "dm --data digits --out a")
    assert found[0].startswith("dm digits ipc 1: 1/1  loss ")
    assert main("condense dm --data digits --no-flip".split()) == 2
    assert "--no-flip does not apply to digits: leave it out" in capsys.readouterr().err


def test_many_classes_are_counted_and_arrays_have_decisions_too(capsys) -> None:
    labels = np.repeat(np.arange(12), np.arange(4, 16))
    np.savez("mine.npz", images=np.random.default_rng(0).random((len(labels), 8, 8)), labels=labels)
    found = lines(capsys, "dm --data arrays:mine.npz --hold-out 0.2 --out a")
    assert found[0].startswith("training images: 73 of 12 classes: 2 to 10 each; test images: 23")
    assert "test images: a fifth of each class, always the same, as there are no others" in found


def test_the_network_follows_the_size(capsys) -> None:
    photos()
    found = lines(capsys, "dm --data folder:photos --image-size 64 --out a")
    assert "network: ConvNetD4, whose depth suits images of 64x64; --arch names another" in found
    assert load_set("a").provenance.settings["arch"] == "ConvNetD4"


def chosen(method: Method, ipc: int = 1, *, resume: bool = False) -> tuple[int, str]:
    train, _ = load("digits")
    return iterations_for(method, train, ipc, device="cpu", out=Path("run"), resume=resume, bounded=False)


def test_iterations_are_as_many_as_pay_and_at_most_the_published_ones() -> None:
    one, line = chosen(DistributionMatching())
    many, _ = chosen(DistributionMatching(), ipc=200)
    assert 400 <= many < one < 20_000
    assert line.startswith(f"iterations: {one} of the published 20000, roughly ")
    assert "--iterations or --time-budget decides otherwise" in line
    assert chosen(KernelRegression()) == (1000, "")  # which is fast
    assert 1 <= chosen(DC(), ipc=50)[0] < 20  # of fifty updates each
    assert chosen(DistributionMatching(iterations=77)) == (77, "")
    assert chosen(Random()) == (0, "")


def test_a_resumed_run_keeps_its_iterations() -> None:
    Path("run").mkdir()
    Path("run/run.json").write_text(json.dumps({"method": "dm", "settings": {"iterations": 123}}))
    assert chosen(DistributionMatching(), resume=True) == (123, "")
    assert chosen(DistributionMatching())[0] != 123
    assert chosen(DC(), ipc=50, resume=True)[0] != 123


def test_without_a_number_or_a_budget_the_choice_is_said_and_recorded(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datacondense.cli.decisions._WORK", {"cpu": 1.0, "cuda": 1.0})
    monkeypatch.setattr("datacondense.cli.decisions._LEAST", 10_000)
    quick = "condense dm --data digits --ipc 1 --batch-real 4 --arch ConvNetD1 --compile off --out".split()
    assert main([*quick, "a"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert found[0].startswith("iterations: 2 of the published 20000, roughly 1 min of work here; ")
    assert load_set("a").provenance.settings["iterations"] == 2
    assert main([*quick, "b", "--iterations", "1"]) == 0
    assert main([*quick, "c", "--time-budget", "1s"]) == 0
    assert not any(line.startswith("iterations:") for line in capsys.readouterr().out.splitlines())
    assert load_set("c").provenance.settings["iterations"] == 20_000
    assert main([*quick, "a", "--resume", "--time-budget", "1m"]) == 0  # which keeps its number


def test_auto_is_the_default_network() -> None:
    assert parse("condense dm".split()).method.arch == "auto"
