"""The README's Python runs as it is written, and so does its tour, at a smaller scale."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datacondense import load_set
from datacondense.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text()
SMALLER = ["--iterations", "2", "--whole-epochs", "1", "--epochs", "2"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:a batch of 256 images per class:UserWarning")
def test_the_python_runs_as_written_and_scores_well(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    accuracy = re.match(r"([\d.]+)% \+- [\d.]+%\n$", capsys.readouterr().out)
    assert accuracy
    assert float(accuracy[1]) > 95


def test_every_link_leads_somewhere_and_no_figure_is_missing() -> None:
    root = Path(__file__).parent.parent
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (root / link).exists()] == []
    assert not re.search(r"@[A-Z]+@", README)


def commands(words: str) -> list[list[str]]:
    """The README's commands that begin so, without `datacondense`."""
    lines = [line for block in blocks("console") for line in block.splitlines()]
    found = [shlex.split(line)[1:] for line in lines if line.startswith(f"datacondense {words}")]
    assert found
    return found


def test_the_tour_runs_at_a_smaller_scale(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tour = [command for command in commands("") if any("demo" in word for word in command)]
    assert [command[0] for command in tour] == ["condense", "evaluate", "show"]
    for command in tour:
        for flag, value in zip(SMALLER[::2], SMALLER[1::2], strict=True):
            if flag in command:
                command[command.index(flag) + 1] = value
        assert main(command) == 0
    assert (tmp_path / "runs/demo/images.png").exists()


@pytest.mark.filterwarnings("ignore:a batch of 256 images per class:UserWarning")
def test_own_images_run_within_a_smaller_budget(toy, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    real = toy(sizes=(20, 20))
    np.savez("mine.npz", images=real.images.numpy(), labels=real.labels.numpy())
    for index, (image, label) in enumerate(zip(real.images.numpy(), real.labels.tolist(), strict=True)):
        Path(f"photos/{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(f"photos/{label}/{index}.png")
    own = [command for command in commands("condense") if "--time-budget" in command]
    assert [command[command.index("--data") + 1] for command in own] == ["folder:photos", "arrays:mine.npz"]
    for command in own:
        command[command.index("5m")] = "0.2s"
        assert main([*command, "--compile", "off"]) == 0
    for name in ("photos", "mine"):
        assert len(load_set(f"runs/dm-{name}-ipc10-seed0")) == 20
