"""Images of one's own through the command line: how they were read is recorded, so that later commands read alike."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datacondense import load_set
from datacondense.cli.app import main
from datacondense.utils import cache

pytestmark = pytest.mark.filterwarnings("default::UserWarning")  # the command line prints them as notes
QUICK = "--iterations 1 --batch-real 2 --arch ConvNetD1 --compile off --out run"


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine uneven classes, of RGBA and palette PNGs in turn, of several sizes; the first has two images to train on."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for k in range(9):
        folder = Path(f"photos/class {k}")
        folder.mkdir(parents=True)
        for index in range(3 + 2 * k):
            image = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((12 + k, 14))
            image = image.convert("P", palette=Image.Palette.ADAPTIVE) if index % 2 else image.convert("RGBA")
            image.save(folder / f"{index:02}.png")


def run(words: str) -> int:
    return main([*words.split()])


def test_two_commands_from_photos_to_a_condensed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(f"condense dm --data folder:photos --image-size 12 --ipc 2 {QUICK}") == 0
    assert run("export run --to folder out") == 0
    assert len(list(Path("out").glob("*/*.png"))) == 18
    with Image.open("out/04_class 4/0001.png") as image:
        assert (image.mode, image.size) == ("RGB", (12, 12))
    monkeypatch.chdir(tmp_path.parent)
    assert run(f"evaluate {tmp_path.name}/run --nets 1 --epochs 1 --beside random") == 0


def test_small_classes_are_filled_up_or_left_out_in_evaluation_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = f"condense dm --data folder:photos --image-size 12 --ipc 4 {QUICK}"
    assert run(words) == 0
    note = "1 of 9 classes has fewer than 4 training images: 'class 0' (2); dm still makes 4 images of each"
    assert capsys.readouterr().err.count(note) == 1
    assert run(f"{words} --drop-small-classes --overwrite") == 0
    assert "left out classes with fewer than 4 training images: class 0 (2)\n" in capsys.readouterr().err
    assert load_set("run").spec.class_names == tuple(f"class {k}" for k in range(1, 9))
    assert run("evaluate run --nets 1 --epochs 1 --out scores.json") == 0
    assert "fewer than 4 training images" in capsys.readouterr().err
    (scores,) = json.loads(Path("scores.json").read_text()).values()
    assert len(scores["per_class"]["ConvNetD1"][0]) == 8


def test_broken_images_are_listed_or_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/class 3/00.png").write_bytes(b"no image")
    Path("photos/class 4/00.png").write_bytes(Path("photos/class 4/02.png").read_bytes()[:-40])
    words = f"condense dm --data folder:photos --image-size 12 --ipc 1 {QUICK}"
    assert run(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for name in ("2 of 99 images", "class 3/00.png", "class 4/00.png", "--skip-broken"):
        assert name in error
    for command in (f"{words} --skip-broken", "show run --real"):
        assert run(command) == 0
        assert "left out 2 of 99 images" in capsys.readouterr().err
    assert Path("run/nearest-real.png").exists()


def test_sizes_that_differ_ask_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"condense dm --data folder:photos --ipc 1 {QUICK}") == 2
    error = capsys.readouterr().err
    assert "12x14" in error
    assert "--image-size 32" in error


def test_options_go_with_the_kind_of_source_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"condense dm --data folder:photos --image-size 12 --ipc 1 {QUICK}") == 0
    Path("photos").rename("moved")
    assert run("evaluate run --nets 1 --epochs 1") == 2
    assert "photos is not a folder" in capsys.readouterr().err
    assert run("evaluate run --nets 1 --epochs 1 --data folder:moved") == 0  # of 12x12 pixels again
    assert "does not hold the images" not in capsys.readouterr().err
    Path("moved/class 1/00.png").unlink()
    assert run("evaluate run --nets 1 --epochs 1 --data folder:moved") == 2
    assert "do not fit the set made from 'photos': mean is" in capsys.readouterr().err
    assert run("evaluate run --nets 1 --epochs 1 --data digits") == 2
    assert "do not fit the set made from" in capsys.readouterr().err


def test_a_size_of_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"condense dm --data folder:photos --image-size 0 --ipc 1 {QUICK}") == 2
    assert "--image-size 0" in capsys.readouterr().err


@pytest.mark.slow
def test_told_to_end_while_decoding_it_leaves_nothing_behind() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
    for index in range(40):
        Image.fromarray(np.roll(noise, index, 0)).save(f"photos/class 8/large {index}.png", compress_level=1)
    command = f"-m datacondense condense dm --data folder:photos --image-size 12 --ipc 1 {QUICK}"
    process = subprocess.Popen([sys.executable, *command.split()], stderr=subprocess.DEVNULL)
    while not list((cache.folder() / "sets").glob("*/unsorted")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert list((cache.folder() / "sets").iterdir()) == []
