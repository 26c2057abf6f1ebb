"""The examples run as a user would run them, at toy scale, and docs/examples.md names what there is."""

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import shell
from PIL import Image

import datacondense as dc
from datacondense.cli.app import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "examples.md").read_text()
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(command: str) -> str:
        """What an example prints."""
        script, *arguments = shlex.split(command)
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
        return capsys.readouterr().out

    return run


def commands(program: str) -> list[list[str]]:
    """The arguments of a program on the page, command by command."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in shell.commands(block)]
    assert {line[0] for line in lines} == {"datacondense", "python", "npm", "tar"}
    return [line[1:] for line in lines if line[0] == program]


def percentages(text: str) -> list[float]:
    found = [float(number) for number in re.findall(r"(\d+\.\d)(?= \± \d)", text)]
    assert all(0 <= number <= 100 for number in found)
    return found


def test_a_model_of_ones_own_learns_a_condensed_set(output, capsys: pytest.CaptureFixture[str]) -> None:
    (condense,) = commands("datacondense")
    pairs = zip(["", *condense], condense, strict=False)
    assert main([{"--iterations": "3", "--ipc": "3"}.get(flag, word) for flag, word in pairs]) == 0
    capsys.readouterr()
    command = "train_your_model.py runs/digits --models 2 --epochs 20"
    first = output(command)
    found = re.findall(r"^30 (.+) images: (\d+\.\d)% \± \d+\.\d%$", first, re.MULTILINE)
    assert first.startswith("accuracy on 360 test images, n = 2 models\n")
    assert [name for name, _ in found] == ["condensed", "random real"]
    assert all(30 < float(accuracy) < 100 for _, accuracy in found)  # chance is 10
    assert output(command) == first


@pytest.mark.slow
def test_methods_are_compared_on_digits(output) -> None:
    printed = output("compare_methods.py --ipc 1 --iterations 2 --nets 2 --epochs 2")
    rows = [line.split() for line in printed.splitlines()]
    assert [row[0] for row in rows[2:]] == ["random", "herding", "dm", "report:"]
    assert len(percentages(printed)) == 3
    assert "herding" in Path("runs/compared/report.html").read_text()
    for name in ("random", "herding", "dm"):
        run = Path("runs/compared", name)
        assert dc.load_set(run).provenance.source == {"source": "digits", "min_per_class": 1}
        assert main(["report", str(run), "--out", f"{name}.html"]) == 0


@pytest.mark.filterwarnings("ignore:a batch of 64 images per class:UserWarning")
def test_methods_are_compared_on_a_folder_of_pictures(output) -> None:
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (20, 12, 9, 3), dtype=np.uint8)):
        Path(f"photos/{index % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(f"photos/{index % 2}/{index}.png")
    words = "compare_methods.py --data folder:photos --image-size 8 --ipc 2 --methods k-center dm --iterations 1"
    printed = output(f"{words} --nets 2 --epochs 1 --out runs/photos")
    assert "2 of 8 training images per class" in printed
    assert len(percentages(printed)) == 2
    assert Path("runs/photos/report.html").exists()


def test_a_memory_keeps_old_classes(output) -> None:
    command = "rehearsal_memory.py --orders 2 --steps 2 --iterations 1 --epochs 4 --ipc 4"
    printed = output(command)
    assert printed.splitlines()[1].split() == ["step", "no", "memory", "random", "dm"]
    first, last = (percentages(line) for line in printed.splitlines()[2:])
    assert len(set(first)) == 1  # nothing is remembered yet
    assert max(last) < first[0]
    assert min(last[1:]) > last[0]


def test_networks_are_ranked(output) -> None:
    printed = output("architecture_search.py --ipc 1 --iterations 1 --nets 1 --epochs 2 --whole-epochs 1")
    table = re.findall(r"^(\S.*?)((?: +\d+\.\d \([\d.]+\)){3})$", printed, re.MULTILINE)
    assert len(table) == 12
    ranks = [[float(rank) for rank in re.findall(r"\(([\d.]+)\)", cells)] for _, cells in table]
    assert [sum(column) for column in zip(*ranks, strict=True)] == [78] * 3
    assert [of_whole for *_, of_whole in ranks] == sorted(of_whole for *_, of_whole in ranks)
    correlations = re.findall(r"rank correlation with whole (-?\d\.\d\d)", printed)
    assert len(correlations) == 2
    assert all(-1 <= float(correlation) <= 1 for correlation in correlations)


def test_a_folder_of_pictures_is_made(output) -> None:
    """White is under transparent pixels; a repeated picture, a part, and one without a file are left out."""
    pictures = Path("package/img/google/64")
    pictures.mkdir(parents=True)
    entries = []
    for place in range(14):
        name, category = f"{place}.png", "Component" if place == 12 else "Food & Drink" if place % 2 else "Flags"
        entries.append({"image": name, "category": category, "sort_order": 100 - place})
        pixels = np.full((4, 4, 4), min(place, 10), dtype=np.uint8)  # 10 and 11 are alike, 13 has no file
        pixels[0, 0, 3], pixels[1:, :, 3] = 0, 255
        if place < 13:
            Image.fromarray(pixels).save(pictures / name)
    Path("package/emoji.json").write_text(json.dumps(entries))
    printed = output("emoji_folder.py package photos")
    assert printed.splitlines() == [
        "Flags: 4 training and 1 test pictures",
        "Food & Drink: 5 training and 1 test pictures",
    ]
    train, test = dc.load("folder:photos", image_size=4)
    assert (len(train), len(test)) == (9, 2)
    assert not Path("photos/train/Flags/10.png").exists()  # 11 comes before it
    one = next(Path("photos/train/Food & Drink").glob("*.png"))
    with Image.open(one) as picture:
        assert (picture.mode, picture.getpixel((0, 0))) == ("RGB", (255, 255, 255))
    with pytest.raises(SystemExit, match="photos exists: name another folder"):
        output("emoji_folder.py package photos")
    with pytest.raises(SystemExit, match=r"holds no emoji\.json"):
        output("emoji_folder.py photos other")


def test_the_page_names_every_example_with_flags_that_it_has() -> None:
    named = commands("python")
    assert {script for script, *_ in named} == {f"examples/{name}" for name in EXAMPLES}
    for script, *arguments in named:
        runpy.run_path(str(ROOT / script))["parser"]().parse_args(arguments)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_commands_in_an_example_are_those_of_the_page(name: str) -> None:
    page = [["python", *words] for words in commands("python")] + [
        ["datacondense", *words] for words in commands("datacondense")
    ]
    text = (ROOT / "examples" / name).read_text()
    own = [shlex.split(line) for line in re.findall(r"^    ((?:python|datacondense) .+)$", text, re.MULTILINE)]
    assert own
    assert all(words in page for words in own)
