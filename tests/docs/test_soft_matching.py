"""The second method of docs/your-own-method.md: learned labels, a pool of networks, and a second optimiser."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import shell
import torch

from datacondense import evaluate, export, import_sets, load, load_set
from datacondense.cli.app import main
from datacondense.formats.registry import Format
from datacondense.utils.files import read_tensors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your-own-method.md").read_text()
FILE, COMMANDS = re.findall(
    r"<!-- file: soft_matching.py -->\n```python\n(.*?)^```\n\n```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
)[0]
QUICK = (
    "condense soft-matching --plugin soft_matching.py --data digits --ipc 1 --batch-real 16 --arch ConvNetD1 "
    "--lifetime 2 --networks 2 --compile off"
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("soft_matching.py").write_text(FILE)


def test_it_is_short() -> None:
    assert len(FILE.splitlines()) < 60


def test_the_commands_of_the_page_run_and_both_sets_score_alike(capsys: pytest.CaptureFixture[str]) -> None:
    for line in shell.commands(COMMANDS):
        words = shlex.split(line)[1:]
        small = {"--iterations": "3", "--epochs": "2", "--nets": "1", "--batch-real": "16"}
        words = [small.get(flag, word) for flag, word in zip(["", *words], words, strict=False)]
        off = ["--compile", "off"] if words[0] in ("condense", "evaluate") else []
        assert main([*words, *off]) == 0, capsys.readouterr().err
    made, again = load_set("runs/soft"), load_set("runs/soft-again")
    assert made.soft
    assert made.counts.tolist() == [8] * 10
    assert again.fingerprint() == made.fingerprint()
    assert again.recipe == made.recipe
    assert made.recipe is not None
    assert made.recipe.optimiser == "adam"


def test_labels_and_images_are_learned_and_the_pool_is_in_the_checkpoint() -> None:
    assert main(f"{QUICK} --iterations 1 --out one".split()) == 0
    assert main(f"{QUICK} --iterations 5 --out run".split()) == 0
    one, made = load_set("one"), load_set("run")
    assert float((one.labels - made.labels).abs().max()) > 1e-3
    assert float((one.images - made.images).abs().max()) > 1e-3
    assert torch.allclose(made.labels.sum(1), torch.ones(10))
    tensors, _ = read_tensors(Path("run/checkpoint.safetensors"))
    assert tensors["state.steps"].shape == (2,)
    assert int(tensors["state.steps"].sum()) < 5  # a network has started anew
    assert {"synthetic.targets.values", "optimisers.labels.0.exp_avg", "optimiser.0.momentum_buffer"} <= tensors.keys()


@pytest.mark.parametrize("form", ["pixels", "tiles", "dct"])
@pytest.mark.parametrize("to", ["folder", "npz", "hf", "pt"])
def test_exported_and_imported_sets_score_alike(form: str, to: Format) -> None:
    assert main(f"{QUICK} --iterations 2 --form {form} --out run".split()) == 0
    made = load_set("run")
    export(made, to, "there")
    (place,) = import_sets("there", None, "back")
    back = load_set(place)
    assert torch.equal(back.labels, made.labels)
    assert back.recipe == made.recipe
    if to == "folder":  # 8 bits
        assert torch.equal(back.spec.pixels(back.images), made.spec.pixels(made.images))
        return
    assert torch.equal(back.images, made.images)
    _, test = load("digits")
    options = {"nets": 1, "epochs": 2, "compile": "off"}
    assert evaluate(back, test, **options).accuracy == evaluate(made, test, **options).accuracy


def start(*more: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "datacondense", *QUICK.split(), "--iterations", "30", "--checkpoint-every", "0s"]
    return subprocess.Popen([*command, *more], env=environment)


@pytest.mark.processes
def test_a_killed_run_resumes_bit_for_bit() -> None:
    assert start("--out", "whole").wait(timeout=300) == 0
    process = start("--out", "parts")
    while not Path("parts/checkpoint.previous.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert start("--out", "parts", "--resume").wait(timeout=300) == 0
    assert load_set("whole").fingerprint() == load_set("parts").fingerprint()
