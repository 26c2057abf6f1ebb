"""docs/own-images.md: its commands and its Python go from a folder of uneven, transparent pictures to a model."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import shell
import torch
from PIL import Image

from datacondense import load_set
from datacondense.cli.app import main

PAGE = (Path(__file__).parents[2] / "docs" / "own-images.md").read_text()
SIZES = {"apple": 20, "banana": 11, "cherry": 7}
SMALL = {"--time-budget": "1s", "--ipc": "2", "--nets": "1", "--whole-epochs": "1"}
MORE = {
    "condense": ["--compile", "off", "--candidates", "1", "--arch", "ConvNetW32"],
    "evaluate": ["--compile", "off", "--epochs", "2"],
}


def pictures() -> None:
    """Draw a disc of the colour of its class on a transparent ground, in pictures of several sizes."""
    random = np.random.default_rng(0)
    for number, (name, count) in enumerate(SIZES.items()):
        Path("photos", name).mkdir(parents=True)
        for index in range(count):
            side = int(random.integers(36, 48))
            rows, columns = np.mgrid[:side, : side + index % 3]
            inside = (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 3) ** 2
            pixels = np.zeros((*inside.shape, 4), np.uint8)
            pixels[inside] = (*(255 if channel == number else int(random.integers(90)) for channel in range(3)), 255)
            Image.fromarray(pixels).save(f"photos/{name}/{index}.png")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
@pytest.mark.filterwarnings("ignore:.* classes have fewer:UserWarning")
def test_a_folder_becomes_a_model(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    pictures()
    done: list[str] = []
    for language, text in re.findall(r"^```(console|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if language == "python":
            capsys.readouterr()
            exec(compile(text.replace("range(100)", "range(3)"), "own-images.md", "exec"), {})
            assert re.fullmatch(r"accuracy \d+%\n", capsys.readouterr().out)
            continue
        for command in shell.commands(text):
            _, *words = shlex.split(command)
            words = [SMALL.get(flag, word) for flag, word in zip(["", *words], words, strict=False)]
            assert main([*words, *MORE.get(words[0], [])]) == 0, capsys.readouterr().err
            done.append(words[0])
            assert Path("runs").exists() == (len(done) > 1)  # the first is a dry run
    assert done == ["condense", "condense", "evaluate", "show", "export", "storage"]
    made = load_set("runs/photos")
    assert made.spec.class_names == tuple(SIZES)
    assert made.spec.shape == (3, 32, 32)
    assert made.spec.pixels(made.images).float().mean() > 100  # the ground is white, not black
    assert "0.weight" in torch.load("model.pt")
    assert len(list(Path("photos-condensed").rglob("*.png"))) >= 2 * len(SIZES)
