"""The README's Python runs as it is written, and so do its commands and those of sharing, at a smaller scale."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shell
import torch
from PIL import Image

from datacondense import load_set
from datacondense.cli.app import main
from datacondense.data.named import NAMED

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SMALLER = ["--iterations", "2", "--whole-epochs", "1", "--epochs", "2"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_python_runs_as_written_and_scores_well(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    accuracy = re.match(r"([\d.]+)% \± [\d.]+%\n", printed)
    assert accuracy
    assert "random real" in printed
    assert float(accuracy[1]) > 95


def test_every_link_leads_somewhere_and_no_figure_is_missing() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert not re.search(r"@[A-Z]+@", README)


def commands(words: str) -> list[list[str]]:
    """The README's commands that begin so, without `datacondense`."""
    lines = [line for block in blocks("console") for line in shell.commands(block)]
    found = [shlex.split(line)[1:] for line in lines if line.startswith(f"datacondense {words}")]
    assert found
    return found


def test_the_tour_runs_at_a_smaller_scale(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tour = [command for command in commands("") if any("demo" in word for word in command)]
    assert [command[0] for command in tour] == ["condense", "evaluate"]
    for command in tour:
        for flag, value in zip(SMALLER[::2], SMALLER[1::2], strict=True):
            if flag in command:
                command[command.index(flag) + 1] = value
        assert main(command) == 0
    assert (tmp_path / "runs/demo/images.png").exists()
    assert (tmp_path / "runs/demo/report.html").exists()


def at_toy_scale(command: list[str]) -> list[str]:
    """The command with as little to do as can be."""
    small = {"--time-budget": "0.2s", "--iterations": "2", "--snapshots": "2", "--nets": "1", "--ipc": "2"}
    words = [small.get(flag, word) for flag, word in zip(["", *command], command, strict=False)]
    scale = {"condense": ["--compile", "off"], "evaluate": ["--epochs", "1"]}
    return [*words, *scale.get(command[0], [])]


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning", "ignore:2 of 2 classes have fewer")
def test_own_images_become_a_folder_of_others(toy, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    real = toy(sizes=(20, 20), side=40)
    for index, (image, label) in enumerate(zip(real.images.numpy(), real.labels.tolist(), strict=True)):
        Path(f"photos/{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(f"photos/{label}/{index}.png")
    own = [command for command in commands("") if any("photos" in word for word in command)]
    assert [command[0] for command in own] == ["condense", "export"]
    for command in own:
        assert main(at_toy_scale(command)) == 0
    made = load_set("runs/photos")
    assert made.spec.shape == (1, 32, 32)
    assert sorted(str(path) for path in Path("photos-condensed").rglob("*.png")) == [
        f"photos-condensed/0{k}_{k}/{i:04}.png" for k in range(2) for i in range(len(made) // 2)
    ]


def clothes() -> None:
    """FashionMNIST as the hub has it, in a folder of that name, which its library takes first."""
    import datasets

    named = NAMED["fashion-mnist"]
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(named.class_names or ()))}
    rows = {"image": [Image.new("L", (28, 28), 2 * i) for i in range(100)], "label": [i % 10 for i in range(100)]}
    for split in ("train", "test"):
        table = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
        table.to_parquet(f"zalando-datasets/fashion_mnist/{split}.parquet")


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
def test_sets_are_given_away_and_taken(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(NAMED, "fashion-mnist", replace(NAMED["fashion-mnist"], system=()))
    monkeypatch.setitem(NAMED, "cifar10", replace(NAMED["fashion-mnist"], name="cifar10"))
    Path("zalando-datasets/fashion_mnist").mkdir(parents=True)
    clothes()
    for ipc, out in ((1, "fm1"), (2, "fm10")):
        assert main(f"condense random --data fashion-mnist --ipc {ipc} --out runs/{out}".split()) == 0
    sets = [[torch.randn(20, 1, 28, 28), torch.arange(10).repeat_interleave(2)] for _ in range(2)]
    torch.save({"data": sets, "accs_all_exps": {"ConvNet": [np.float64(0.5)] * 4}}, "res_DM_CIFAR10_ConvNet_10ipc.pt")
    page = (ROOT / "docs" / "sharing.md").read_text()
    for line in re.findall(r"^datacondense .*", "\n".join(shell.commands(page)), re.MULTILINE):
        assert main(at_toy_scale(shlex.split(line)[1:])) == 0
    assert (tmp_path / "fashion-condensed/README.md").exists()
    assert "2 x 1" in capsys.readouterr().out  # two sets, a network each
