"""What the command line says of bad input: one line that tells what is wrong, exit code 2, and nothing is written."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from datacondense import condense
from datacondense.cli.app import main
from datacondense.data.source import load
from datacondense.methods import Random


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def write(path: str, data: bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)


BAD = {
    "condense dn --data digits": "unknown method 'dn': did you mean 'dm'?",
    "condense dm --data digit": "unknown data 'digit': did you mean 'digits'?",
    "condense dm --data digits --arch convnetd9": "unknown arch 'convnetd9': did you mean 'ConvNetD",
    "condense dm --data digits --arch ConvNetD4": "needs images of at least 16x16 pixels, but digits has 8x8",
    "condense dm --data digits --augment flop": "unknown augmentation 'flop': did you mean 'flip'?",
    "condense dm --data digits --ipc 0": "--ipc 0: must be at least 1",
    "condense dm --data digits --time-budget soon": "--time-budget soon: give a time such as 90s, 5m or 1h30m",
    "condense dm --data digits --device tpu": "unknown device 'tpu'",
    "condense dm --data digits --batch-real 0": "--batch-real 0: must be at least 1",
    "condense dm --data digits --iterations -1": "--iterations -1: must be at least 0",
    "condense dm --data digits --lr nan": "--lr nan: must be above 0 and at most 1e6",
    "condense dm --data arrays:absent.npz": "absent.npz is not a file",
    "condense dm --data arrays:broken.npz": "broken.npz is damaged or not an .npz file",
    "condense dm --data arrays:nan.npz": "nan.npz: images hold 1 pixels that are NaN or infinite",
    "condense dm --data arrays:hole.npz": "hole.npz: labels go down to -1: classes are numbered from 0",
    "condense dm --data folder:absent": "absent is not a folder",
    "condense dm --data fashion-mnist --data-dir absent": "fashion-mnist not found: looked in absent/FashionMNIST/raw",
    "condense dm --data digits --out taken": "taken holds another run: continue it with --resume",
    "condense dm --data digits --out file/run": "which is a file: name another",
    "condense dm --data digits --out file": "file is a file: name a directory",
    "evaluate absent": "no synthetic set at absent",
    "evaluate broken.safetensors": "broken.safetensors is damaged",
    "show absent": "no synthetic set at absent",
    "condense dm --data digits --precision tf32": "--precision tf32 needs an NVIDIA GPU",
    "condense dm --data digits --device cuda:99": "--device cuda:99: PyTorch sees",
    "condense dm --data digits --out mine --overwrite": "no run.json: name another directory",
    "evaluate good --out absent/scores.json": "there is no directory absent",
    "evaluate good --whole-epochs 0": "--whole-epochs 0: must be at least 1",
    "evaluate good --pool X": "unknown pool 'X': choose from S, SS, M, B, W, D, A, P, N",
    "evaluate good --pool M --archs MLP": "--archs and --pool exclude each other: use one",
    "evaluate good --figure absent/bars.png": "--figure absent/bars.png: there is no directory absent",
    "condense dm --data digits --augment dc": "augmentation 'dc' is for evaluation only",
    "condense dm --data digits --classes-at-once 0": "--classes-at-once 0: must be at least 1",
    "condense dc --data digits --updates 0": "--updates 0: must be at least 1",
    "condense dc --data digits --epochs -1": "--epochs -1: must be at least 0",
    "condense dsa --data digits --lr-net 0": "--lr-net 0: must be above 0 and at most 1e6",
    "reproduce dc/mnist/2": "unknown preset 'dc/mnist/2': did you mean 'dc/mnist/",
    "reproduce nothing": "unknown preset 'nothing': `datacondense list presets` lists them",
    "reproduce dc/mnist/1 --data digits --scale 0": "--scale 0: must be above 0 and at most 1",
    "reproduce dc/mnist/1 --data digits --seeds 0": "--seeds 0: must be at least 1 and at most 1000",
    "reproduce dc/mnist/1 --data digit": "unknown data 'digit': did you mean 'digits'?",
    "reproduce dc/mnist/1 --data digits --ipc 0": "--ipc 0: must be at least 1",
    "condense dm --data digits --snapshots -1": "--snapshots -1: must be at least 0",
    "show good --classes 5 ten": "unknown class 'ten': choose from 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    "show good --classes 10": "unknown class '10': did you mean '1'?",
    "show good --process": "good has no snapshots of its iterations: condense with --snapshots 10",
    "show": "name a run, before the options: datacondense show RUN",
    "show good good --real": "--real draws one set, not 2: name one run",
    "show good good --stored": "--stored draws one set, not 2: name one run",
    "show good --stored --process": "--stored and --process exclude each other: use one",
    "show good --stored --classes ten": "unknown class 'ten'",
    "storage": "name a run, before the options: datacondense storage RUN",
    "show good --process --real": "--real and --process exclude each other: use one",
    "show good --process --out x.gif": "--out x.gif: name the PNG; the GIF gets the same name with .gif",
    "show good --out absent/x.png": "--out absent/x.png: there is no directory absent",
    "show nosource --real": "nosource does not record its source: name the training images with --data",
    "evaluate nosource": "nosource does not record its source: name the test images with --data",
    "results": "--results results: there is no such directory; `datacondense reproduce` makes it",
    "results --results taken --out absent/page.md": "--out absent/page.md: there is no directory absent",
    "results --results damaged --out page.md": "results.jsonl has a line that is not a record",
    "condense dm --data digits --seed -1": "--seed -1: must be at least 0 and below 2**63",
    "evaluate good --seed -1": "--seed -1: must be at least 0 and below 2**63",
    "list --plugin": "--plugin: name a Python file",
    "condense dm --data digits --start absent --dry-run": "no synthetic set at absent",
    "condense dm --data digits --start good --ipc 2 --dry-run": "--start: the set has 1 images of each class",
    "condense herding --iterations 3": "unknown option '--iterations'",
    "export --to npz": "name runs and then what to write: datacondense export RUN --to npz DEST",
    "evaluate good --figure mine": "--figure mine: this is not a file: name a file",
    "show good --data digits": "--data: is for the real images of --real: leave it out",
    "show good --no-flip": "--no-flip: is for the real images of --real: leave it out",
    "show good --image-size 7": "--image-size: is for the real images of --real: leave it out",
    "show good good": "good is named twice: name it once",
    "show good --out good/synthetic.safetensors": "good/synthetic.safetensors: name a file that ends with .png",
    "show good --out x.jpg": "--out x.jpg: name a file that ends with .png",
    "show good --out x": "--out x: name a file that ends with .png",
    "report good --out good/synthetic.safetensors": "good/synthetic.safetensors: name a file that ends with .html",
    "evaluate good --out good/scores.jsonl": "--out good/scores.jsonl: name a file that ends with .json",
    "evaluate good --out good/run.json": "--out good/run.json: this is the record of a run",
    "evaluate good --figure good/run.json": "--figure good/run.json: name a file that ends with .png",
    "rank good --out good/run.json": "--out good/run.json: this is the record of a run",
    "rank good --out good/synthetic.safetensors": "good/synthetic.safetensors: name a file that ends with .json",
    "results --results taken --out good/run.json": "--out good/run.json: name a file that ends with .md",
    "storage good good": "good is named twice: name it once",
    "report good --figures broken.npz": "--figures broken.npz: this is not a directory: name one",
    "evaluate good --whole-epochs 3": "--whole-epochs 3: is for --beside whole: leave it out",
    "export good --to npz --licence mit out.npz": "--licence mit: stands in the card of hf alone: leave it out",
    "label good --moment 1 --temperature 2 --trial-epochs 3 --out x": "--trial-epochs 3: nothing is tried",
    "label good --moment 1 --temperature 2 --trial-hold-out 0.2 --out x": "--trial-hold-out 0.2: nothing is tried",
    "evaluate good copied": "good and copied hold the same set: name one of them",
    "continual --memory absent.pt": "--memory absent.pt: there is no such file",
    "continual --memory random dm --set dm.lr=nan": "--lr nan: must be above 0 and at most 1e6",
    "continual --ipc 0": "--ipc 0: must be at least 1",
    "reproduce dc/mnist/1 --iterations -1": "--iterations -1: must be at least 0",
    "condnse dm": "unknown command 'condnse': did you mean 'condense'?",
    "condense --data digits": "name the method first, datacondense condense METHOD: choose from auto, dc, dsa, dm",
    "condense": "name the method first",
    "condense dm --dat digits": "unknown option '--dat': did you mean '--data'? `datacondense condense dm --help`",
    "condense dm --batchreal=8": "unknown option '--batchreal': did you mean '--batch-real'?",
    "condense dm --no-adam": "unknown option '--no-adam'",
    "condense dm digits": "unexpected argument 'digits': see `datacondense condense dm --help`",
    "condense dm --ipc ten": "--ipc 'ten': must be a whole number; see `datacondense condense dm --help`",
    "condense dm --lr small": "--lr 'small': must be a number",
    "condense dm --lr": "--lr: its value is missing",
    "condense dm --init zero": "--init 'zero': must be one of 'real', 'kmeans', 'noise'",
    "evaluate good --beside half": "--beside 'half': must be one of 'random', 'whole'",
    "export good": "missing: --to {folder,npz,hf,pt} Format to write; see `datacondense export --help`",
    "list": "missing: {methods,data,archs,pools,presets}",
}


@pytest.mark.parametrize("command", BAD)
def test_bad_input_is_one_line_and_exit_code_2(command: str, capsys) -> None:
    write("broken.npz", b"PK\x03\x04 nothing")
    write("broken.safetensors", b"\x10\0\0\0\0\0\0\0{")
    write("taken/run.json", b"{}")
    write("damaged/results.jsonl", b'{"preset": "dc/mnist/1"}')
    write("file", b"")
    write("mine/images.png", b"")
    if "good" in command.replace("/", " ").split():
        assert main("condense random --data digits --ipc 1 --out good".split()) == 0
        capsys.readouterr()
    if "copied" in command.split():
        shutil.copytree("good", "copied")
    if "nosource" in command:
        condense(Random(arch="MLP"), load("digits")[0], ipc=1, out="nosource")
    images = np.zeros((4, 8, 8))
    np.savez("hole.npz", images=images, labels=[0, 0, -1, 1])
    images[1, 2, 3] = np.nan
    np.savez("nan.npz", images=images, labels=[0, 0, 1, 1])
    arguments = command.split()
    quick = ["--iterations", "1"] if arguments[0] == "condense" and "--iterations" not in arguments else []
    assert main(arguments + quick) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("datacondense: error: ")
    assert BAD[command] in captured.err
    assert not Path("runs").exists()
