"""The commands of docs/continual.md and docs/it-gan.md run, at toy scale, in their order."""

import re
import shlex
from pathlib import Path

import pytest
import shell
import torch

from datacondense import load, load_set
from datacondense.cli.app import main
from datacondense.experiments.continual import load_record
from datacondense.experiments.scenario import class_order, split_into_steps
from datacondense.utils.files import read_tensors

DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str) -> list[list[str]]:
    blocks = re.findall(r"^```console\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in shell.commands(block)]


def smaller(command: list[str], **values: str) -> list[str]:
    """The command with other values of the flags that it has, and --compile off where it computes."""
    changed = {f"--{name.replace('_', '-')}": value for name, value in values.items()}
    pairs = zip(["", *command], command, strict=False)
    off = [] if command[0] in ("show", "storage") else ["--compile", "off"]
    return [*(changed.get(flag, word) for flag, word in pairs), *off]


def test_continual_learning(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train, _ = load("digits")
    entries = [
        [torch.randn(4, *train.spec.shape), torch.tensor(classes).repeat_interleave(2)]
        for classes in split_into_steps(class_order(10, 0), 5)
    ]
    torch.save({"data": entries}, "cl_DM_CIFAR100_ConvNet_20ipc_5steps_seed0.pt")
    quick = ["--orders", "1", "--nets", "1", "--epochs", "1", "--arch", "ConvNetD1"]
    for command in commands("continual.md"):
        words = smaller(command, data="digits", per_class="2")
        words = [re.sub(r"(iterations|updates)=\d+", r"\1=1", word) for word in words]
        assert main([*words, *quick]) == 0
    memories = ["random", "herding", "dsa", "dm"]
    assert [load_record(f"runs/continual/{name}")["memory"] for name in memories] == memories
    assert Path("runs/theirs/continual.png").exists()


@pytest.mark.slow
def test_it_gan(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for command in commands("it-gan.md"):
        small = {"ipc": "2", "generator_steps": "5", "inversion_steps": "2", "nets": "1", "epochs": "1"}
        if "--lr" in command:
            small["iterations"] = "2"
        assert main(smaller(command, **small)) == 0
    made = [load_set(f"runs/{name}") for name in ("informative", "inverted", "random-z", "real")]
    assert [len(one) for one in made] == [20] * 4
    assert Path("latents.png").exists()
    weights = [read_tensors(Path(f"runs/{name}/synthetic.safetensors"))[0] for name in ("inverted", "random-z")]
    assert torch.equal(weights[0]["generator.linear.weight"], weights[1]["generator.linear.weight"])
