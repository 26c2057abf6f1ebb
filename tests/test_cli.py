"""The command line as a user sees it: help, flags, output, exit codes, and a run that is killed."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datacondense import METHODS, NETWORKS, InputError, condense, load, load_set
from datacondense.cli import main
from datacondense.cli.options import seconds as seconds_of
from datacondense.methods import Random
from datacondense.networks import POOLS
from datacondense.presets import PRESETS

FLAGS = Path(__file__).parent / "cli_flags.txt"
OTHERS = [
    "condense",
    "evaluate",
    "continual",
    "report",
    "show",
    "storage",
    "export",
    "import",
    "reproduce",
    "results",
    "list",
    "doctor",
]
COMMANDS = [[], *(["condense", name] for name in METHODS), *([name] for name in OTHERS)]
QUICK = "--data digits --ipc 1 --iterations 3 --batch-real 8 --arch ConvNetD1".split()


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def help_text(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command: list[str], capsys) -> None:
    text = help_text(command, capsys)
    assert " ".join(["usage: datacondense", *command]) in text
    assert re.findall(r"\(default: (?:None|False|)\)|\{None\}", text) == []


def test_the_flags_are_those_of_the_snapshot(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags are a contract. A change is made here on purpose: write the text of the failure to cli_flags.txt."""
    monkeypatch.setenv("COLUMNS", "100")  # too few for options side by side
    lines = []
    for command in COMMANDS:
        flags = re.findall(r"^[│ ]*(--[a-z][a-z-]*)", help_text(command, capsys), re.MULTILINE)
        lines.append(" ".join(["datacondense", *command, *flags]))
    assert "\n".join(lines) + "\n" == FLAGS.read_text()


def test_condense_evaluate_show(capsys) -> None:
    assert main(["condense", "dm", *QUICK, "--out", "runs/a"]) == 0
    output = capsys.readouterr().out
    assert "10 images from 1437" in output
    assert "next: datacondense evaluate runs/a" in output
    assert main("evaluate runs/a --nets 2 --epochs 3 --beside random whole --whole-epochs 2 --per-class".split()) == 0
    output = capsys.readouterr().out
    for word in ("random real", "dm", "whole set", "ConvNetD1", "2 x 3", "2 x 2", "color_crop_cutout_scale_rotate"):
        assert word in output
    assert main("evaluate runs/a --nets 1 --epochs 1 --augment none --archs ConvNetW32 --out s.json".split()) == 0
    written = json.loads(Path("s.json").read_text())
    assert written["dm"]["protocol"]["recipes"]["ConvNetW32"]["augment"] == "none"
    assert len(written["dm"]["accuracy"]["ConvNetW32"]) == 1
    kept = [json.loads(line) for line in Path("runs/a/scores.jsonl").read_text().splitlines()]
    assert [list(entry) for entry in kept] == [["random real", "dm", "whole set"], ["dm"]]
    capsys.readouterr()
    assert main("show runs/a --out p.png".split()) == 0
    assert capsys.readouterr().out == "p.png\n"
    with Image.open("p.png") as picture:
        assert picture.width * picture.height > 10 * 64 * 64


def test_show_draws_chosen_classes_real_images_and_the_process(capsys) -> None:
    assert main(["condense", "dm", *QUICK, "--snapshots", "2", "--out", "run"]) == 0
    assert sorted(path.name for path in Path("run/snapshots").iterdir()) == [
        f"00000{iteration}.safetensors" for iteration in (0, 1, 3)
    ]
    shutil.copytree("run", "other")
    capsys.readouterr()
    sizes = {}
    for command, written in {
        "show run": ["run/images.png"],
        "show run --classes 7 3 7 --out two.png": ["two.png"],
        "show run --real": ["run/nearest-real.png"],
        "show run --real --data digits --classes 1 --out r.png": ["r.png"],
        "show run other": ["run/compared.png"],
        "show other run --classes 3 --per-class 1 --out rows.png": ["rows.png"],
        "show run --process": ["run/process.png", "run/process.gif"],
        "show run --process --classes 4 --out four.png": ["four.png", "four.gif"],
    }.items():
        assert main(command.split()) == 0
        assert capsys.readouterr().out.splitlines() == written
        for path in written:
            with Image.open(path) as image:
                assert image.format == path[-3:].upper()
                sizes[path] = image.size
    cell = 8 * 8 + 4
    assert sizes["run/images.png"][1] - sizes["two.png"][1] == 2 * cell  # 4 rows in three columns, 2 rows in one
    assert sizes["run/nearest-real.png"][0] > sizes["run/images.png"][0]
    with Image.open("four.gif") as image:
        assert getattr(image, "n_frames", 1) == 3
    assert main(["condense", "dm", *QUICK, "--out", "run", "--overwrite"]) == 0
    assert {path.name for path in Path("run").iterdir()} == {
        "synthetic.safetensors",
        "run.json",
        "log.jsonl",
        "images.png",
        "neighbours.safetensors",
        "report.html",
        "checkpoint.safetensors",
    }


@pytest.mark.filterwarnings("default:the first 20 of 22 classes:UserWarning")
def test_show_names_classes_by_name_before_number_and_says_what_it_leaves_out(capsys) -> None:
    labels = np.arange(44) % 22
    names = [f"kind {number}" for number in range(20)] + ["3", "cat"]
    np.savez("mine.npz", images=np.random.default_rng(0).random((44, 8, 8)), labels=labels, class_names=names)
    assert main("condense random --data arrays:mine.npz --ipc 1 --snapshots 1 --arch MLP --out run".split()) == 0
    pictures = []
    for chosen in ("3", "20", "cat"):
        assert main(["show", "run", "--out", "x.png", "--classes", chosen]) == 0
        pictures.append(Path("x.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]
    capsys.readouterr()
    assert main("show run --process".split()) == 0
    assert "note: the first 20 of 22 classes: choose by --classes" in capsys.readouterr().err
    assert main("show run --classes kat".split()) == 2
    error = "unknown class 'kat': did you mean 'cat'? `datacondense show run` lists them"
    assert error in capsys.readouterr().err


def test_the_default_run_directory_names_the_run(capsys) -> None:
    assert main(["condense", "dm", *QUICK, "--seed", "5"]) == 0
    assert load_set("runs/dm-digits-ipc1-seed5").provenance["seed"] == 5


def test_own_arrays_go_all_the_way_from_another_directory(tmp_path, capsys, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    np.savez("mine.npz", images=rng.random((40, 12, 12, 3)), labels=np.arange(40) % 2)
    assert main("condense dm --data arrays:mine.npz --ipc 2 --iterations 2 --batch-real 4 --out run".split()) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main("evaluate ../run --nets 1 --epochs 1".split()) == 0


def test_several_sets_on_several_networks_make_a_cross_table_and_a_heat_map(capsys) -> None:
    assert main(["condense", "dm", *QUICK, "--out", "runs/a"]) == 0
    assert main("condense random --data digits --ipc 1 --arch ConvNetD1 --out runs/b".split()) == 0
    capsys.readouterr()
    assert main("evaluate runs/a runs/b --pool P --nets 2 --epochs 2 --figure heat.png".split()) == 0
    output = capsys.readouterr().out
    header, *rows = [re.split(r" *[│┃] *", line.strip("│┃ ")) for line in output.splitlines() if line[:1] in ("│", "┃")]
    assert header == ["trained on", "ConvNetNP", "ConvNetMP", "ConvNetAP"]
    assert [row[0] for row in rows] == ["dm", "random"]
    for row in rows:
        assert all(re.fullmatch(r"\d+\.\d \+- \d+\.\d", cell) for cell in row[1:])
    assert "n = 2" in output
    assert main("evaluate runs/a --pool P --nets 1 --epochs 1 --figure bars.png".split()) == 0
    output = capsys.readouterr().out
    assert "n x epochs" in output
    assert output.splitlines()[-2:] == ["bars.png", "report: runs/a/report.html"]
    for name in ("heat.png", "bars.png"):
        with Image.open(name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 200
    kept = [json.loads(line) for line in Path("runs/a/scores.jsonl").read_text().splitlines()]
    assert [list(entry) for entry in kept] == [["dm"], ["dm"]]


@pytest.mark.filterwarnings("default:pool D without:UserWarning")
def test_a_pool_says_which_networks_it_leaves_out(capsys) -> None:
    assert main("condense random --data digits --ipc 1 --out runs/a".split()) == 0
    assert main("evaluate runs/a --pool D --nets 1 --epochs 1".split()) == 0
    captured = capsys.readouterr()
    assert "note: pool D without ConvNetD4: a ConvNet of depth 4 serves images of at least 16x16" in captured.err
    assert [f"ConvNetD{depth}" in captured.out for depth in (1, 2, 3, 4)] == [True, True, True, False]


@pytest.mark.filterwarnings("ignore:a batch of 256 images per class:UserWarning")
def test_reproduce_and_results(capsys) -> None:
    command = "reproduce dc/mnist/1 --data digits --scale 0.001 --seeds 1 --nets 2".split()
    assert main(command) == 0
    output = capsys.readouterr().out
    assert output.startswith("DC, Table 1: mnist, 1 image per class: 1 sets x 2 networks\n")
    for words in ("tested on", "ConvNet", "1 x 2", "recorded in results"):
        assert words in output
    assert "a quick look, not the published experiment: dc/mnist/1@digits@scale0.001\n" in output
    assert output.endswith("report: runs/reproduce/dc/mnist/1@digits@scale0.001/report.html\n")
    assert main(command) == 0
    assert "is complete: there is nothing to resume" in capsys.readouterr().out
    assert main("results --out page.md".split()) == 0
    assert capsys.readouterr().out == "page.md\n"
    page = Path("page.md").read_text()
    assert page.count("| dc/mnist/1@digits@scale0.001 | ConvNet |") == 1


LISTS = {
    "methods": METHODS,
    "archs": NETWORKS,
    "data": ["digits", "arrays:"],
    "pools": [f"{letter}: {' '.join(archs)}\n" for letter, archs in POOLS.items()],
    "presets": [f"{name}: {preset.title}" for name, preset in PRESETS.items()] + ["; published ConvNet 44.9\n"],
}


@pytest.mark.parametrize("what", LISTS)
def test_lists(what: str, capsys) -> None:
    assert main(["list", what]) == 0
    output = capsys.readouterr().out
    assert [name for name in LISTS[what] if name not in output] == []


def test_names_are_shown_as_they_are(capsys) -> None:
    """No markup, no formulas, no emoji; long ones are cut in figures only."""
    names = [
        "[/red]",
        "$100_$",
        ":smile: [bold]",
        "a class with a name that is longer than any figure can show beside it",
    ]
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    labels = np.arange(24) % 4
    np.savez("odd.npz", images=images, labels=labels, test_images=images, test_labels=labels, class_names=names)
    assert main("condense random --data arrays:odd.npz --ipc 1 --arch ConvNetD1 --out [/x]".split()) == 0
    assert main("evaluate [/x] --nets 1 --epochs 1 --per-class --figure bars.png".split()) == 0
    output = capsys.readouterr().out
    assert [name for name in names if name not in output] == []
    assert main("report [/x] --figures figures".split()) == 0
    assert main("storage [/x]".split()) == 0
    assert "[/x]" in capsys.readouterr().out


def test_a_line_cut_short_by_a_crash_does_not_take_the_next_score(capsys) -> None:
    assert main("condense random --data digits --ipc 1 --arch MLP --out run".split()) == 0
    Path("run/scores.jsonl").write_text('{"random": {"acc')
    assert main("evaluate run --nets 1 --epochs 1 --out s.json".split()) == 2
    assert "line 1 is no score of `evaluate`" in capsys.readouterr().err
    _, kept = Path("run/scores.jsonl").read_text().splitlines()
    assert json.loads(kept)["random"]["accuracy"] == json.loads(Path("s.json").read_text())["random"]["accuracy"]
    Path("run/scores.jsonl").write_text(f"{kept}\n")
    assert main("report run".split()) == 0


def test_validation_accuracies_are_called_so(capsys) -> None:
    assert main("condense random --data digits --hold-out 0.2 --ipc 1 --arch MLP --out run".split()) == 0
    assert main("evaluate run --on validation --nets 1 --epochs 1".split()) == 0
    output = capsys.readouterr().out
    assert "validation accuracy %" in output
    assert "test accuracy" not in output


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


def write(path: str, data: bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)


BAD = {
    "condense dn --data digits": "unknown method 'dn': did you mean 'dm'?",
    "condense dm --data digit": "unknown data 'digit': did you mean 'digits'?",
    "condense dm --data digits --arch convnetd9": "unknown arch 'convnetd9': did you mean 'ConvNetD",
    "condense dm --data digits --arch ConvNetD4": "serves images of at least 16x16 pixels, digits has 8x8",
    "condense dm --data digits --augment flop": "unknown augmentation 'flop': did you mean 'flip'?",
    "condense dm --data digits --ipc 500": "--ipc 500 is more than 10 of 10 classes have training images: '0'",
    "condense dm --data digits --ipc 0": "--ipc 0: at least 1 image",
    "condense dm --data digits --time-budget soon": "--time-budget soon: give a time such as 90s, 5m or 1h30m",
    "condense dm --data digits --device tpu": "unknown device 'tpu'",
    "condense dm --data digits --batch-real 0": "--batch-real 0: must be at least 1",
    "condense dm --data digits --iterations -1": "--iterations -1: must be at least 0",
    "condense dm --data digits --lr nan": "--lr nan: must be a finite number",
    "condense dm --data arrays:absent.npz": "absent.npz is not a file",
    "condense dm --data arrays:broken.npz": "broken.npz is damaged or not an .npz file",
    "condense dm --data arrays:nan.npz": "nan.npz: images hold 1 pixels that are NaN or infinite",
    "condense dm --data arrays:hole.npz": "class '1' (label 1) has no image",
    "condense dm --data folder:absent": "absent is not a folder",
    "condense dm --data fashion-mnist --data-dir absent": "fashion-mnist not found: looked in absent/FashionMNIST/raw",
    "condense dm --data digits --out taken": "taken holds another run: go on with it by --resume",
    "condense dm --data digits --out file": "--out file is a file: name a directory",
    "evaluate absent": "no synthetic set at absent",
    "evaluate broken.safetensors": "broken.safetensors is damaged",
    "show absent": "no synthetic set at absent",
    "condense dm --data digits --precision tf32": "--precision tf32 needs an NVIDIA GPU",
    "condense dm --data digits --device cuda:99": "--device cuda:99: PyTorch sees",
    "condense dm --data digits --out mine --overwrite": "no run.json: name another directory",
    "evaluate good --out absent/scores.json": "there is no directory absent",
    "evaluate good --whole-epochs 0": "--whole-epochs 0: must be at least 1",
    "evaluate good --pool X": "unknown pool 'X': known are S, SS, M, B, W, D, A, P, N",
    "evaluate good --pool M --archs MLP": "--archs and --pool exclude each other: take one",
    "evaluate good --figure absent/bars.png": "--figure absent/bars.png: there is no directory absent",
    "condense dm --data digits --augment dc": "augmentation 'dc' is for evaluation only",
    "condense dm --data digits --classes-at-once 0": "--classes-at-once 0: must be at least 1",
    "condense dc --data digits --updates 0": "--updates 0: must be at least 1",
    "condense dc --data digits --epochs -1": "--epochs -1: must be at least 0",
    "condense dsa --data digits --lr-net 0": "--lr-net 0.0: must be a finite number above 0",
    "reproduce dc/mnist/2": "unknown preset 'dc/mnist/2': did you mean 'dc/mnist/",
    "reproduce nothing": "unknown preset 'nothing': `datacondense list presets` lists them",
    "reproduce dc/mnist/1 --data digits --scale 0": "--scale 0: must be above 0 and at most 1",
    "reproduce dc/mnist/1 --data digits --seeds 0": "--seeds 0 --nets 20: both must be at least 1",
    "reproduce dc/mnist/1 --data digit": "unknown data 'digit': did you mean 'digits'?",
    "reproduce dc/mnist/1 --data digits --ipc 500": "--ipc 500 is more than 10 of 10 classes have training images: '0'",
    "condense dm --data digits --snapshots -1": "--snapshots -1: must be at least 0",
    "show good --classes 5 ten": "unknown class 'ten': known are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    "show good --classes 10": "unknown class '10': did you mean '1'?",
    "show good --process": "good has no snapshots of its iterations: condense with --snapshots 10",
    "show": "name a run, before the options: datacondense show RUN",
    "show good good --real": "--real draws one set, not 2: name one run",
    "storage": "name a run, before the options: datacondense storage RUN",
    "show good --process --real": "--real and --process exclude each other: take one",
    "show good --process --out x.gif": "--out x.gif: name the PNG, the GIF lies beside it",
    "show good --out absent/x.png": "--out absent/x.png: there is no directory absent",
    "show nosource --real": "nosource does not say what it was made from: name the training images by --data",
    "evaluate nosource": "nosource does not say what it was made from: name the test images by --data",
    "results": "--results results: there is no such directory; `datacondense reproduce` makes it",
    "results --results taken --out absent/page.md": "--out absent/page.md: there is no directory absent",
    "results --results damaged --out page.md": "results.jsonl has a line that is no record",
    "condense dm --data digits --seed -1": "--seed -1: must be at least 0 and below 2**63",
    "evaluate good --seed -1": "--seed -1: must be at least 0 and below 2**63",
    "list --plugin": "--plugin: name a Python file",
    "condense dm --data digits --start absent --dry-run": "no synthetic set at absent",
    "condense dm --data digits --start good --ipc 2 --dry-run": "--start: the set has 1 images of each class",
    "condense herding --iterations 3": "unknown option '--iterations'",
    "export --to npz": "name runs and then what to write: datacondense export RUN --to npz DEST",
    "evaluate good --figure mine": "--figure mine: that is no file, name another",
    "evaluate good copied": "good and copied hold the same set: name one of them",
    "continual --memory absent.pt": "--memory absent.pt: there is no such file",
    "continual --memory random dm --set dm.lr=nan": "--lr nan: must be a finite number",
    "continual --per-class 1000": "--per-class 1000: class '8' has 139 training images",
    "reproduce dc/mnist/1 --iterations -1": "--iterations -1: must be at least 0",
    "condnse dm": "unknown command 'condnse': did you mean 'condense'?",
    "condense --data digits": "name the method first, datacondense condense METHOD: known are dc, dsa, dm",
    "condense": "name the method first",
    "condense dm --dat digits": "unknown option '--dat': did you mean '--data'? `datacondense condense dm --help`",
    "condense dm --batchreal=8": "unknown option '--batchreal': did you mean '--batch-real'?",
    "condense dm --no-adam": "unknown option '--no-adam'",
    "condense dm digits": "'digits' is one word too many; `datacondense condense dm --help`",
    "condense dm --ipc ten": "--ipc 'ten': must be a whole number; `datacondense condense dm --help` tells more",
    "condense dm --lr small": "--lr 'small': must be a number",
    "condense dm --lr": "--lr: its value is missing",
    "condense dm --init zero": "--init 'zero': must be one of 'real', 'kmeans', 'noise'",
    "evaluate good --beside half": "--beside 'half': must be one of 'random', 'whole'",
    "export good": "missing: --to {folder,npz,hf,pt} Format to write; `datacondense export --help` tells more",
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
    if "good" in command.split():
        assert main("condense random --data digits --ipc 1 --out good".split()) == 0
        capsys.readouterr()
    if "copied" in command.split():
        shutil.copytree("good", "copied")
    if "nosource" in command:
        condense(Random(arch="MLP"), load("digits")[0], ipc=1, out="nosource")
    images = np.zeros((4, 8, 8))
    np.savez("hole.npz", images=images, labels=[0, 0, 2, 2])
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


def test_a_loss_that_explodes_is_one_line_and_exit_code_2(capsys) -> None:
    arguments = "condense dm --data digits --ipc 1 --iterations 200 --batch-real 4 --arch ConvNetNN --lr 1e30 --out run"
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert "not finite any more at iteration" in error
    assert "--lr 1e+30; take a smaller one" in error
    assert torch.isfinite(load_set("run").images).all()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5s", 1.5), ("5m", 300), ("1h30m", 5400), ("2h", 7200)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of("--x", text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 m", "5d", "-5m", "1m1h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--x"):
        seconds_of("--x", text)


@pytest.mark.slow
@pytest.mark.parametrize("compile", ["on", "off"])
def test_killed_at_three_moments_and_resumed_is_bit_identical(compile: str) -> None:
    """SIGKILL, not a polite stop: what is on disk is all there is."""
    command = [sys.executable, "-m", "datacondense", "condense", "dm", "--data", "digits", "--ipc", "2"]
    command += ["--iterations", "150", "--batch-real", "32", "--checkpoint-every", "0.2s", "--compile", compile]
    subprocess.run([*command, "--out", "whole"], check=True, stdout=subprocess.DEVNULL)
    for iterations in (1, 40, 80):  # by progress, not by the clock: a fast machine must not be done before
        process = subprocess.Popen([*command, "--out", "parts", "--resume"], stdout=subprocess.DEVNULL)
        while logged_lines() < iterations and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run was over before it was killed: give it more iterations"
    subprocess.run([*command, "--out", "parts", "--resume"], check=True, stdout=subprocess.DEVNULL)
    assert torch.equal(load_set("whole").images, load_set("parts").images)
    assert len(Path("parts/log.jsonl").read_text().splitlines()) == 150


def logged_lines() -> int:
    log = Path("parts/log.jsonl")
    return len(log.read_bytes().splitlines()) if log.exists() else 0


@pytest.mark.slow
def test_ctrl_c_stops_with_a_valid_set() -> None:
    command = [sys.executable, "-m", "datacondense", "condense", "dm", "--ipc", "1", "--out", "run", "--iterations"]
    process = subprocess.Popen([*command, "100000", "--compile", "off"], stdout=subprocess.PIPE, text=True)
    while not Path("run/log.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopping between two updates" in output
    assert "stopped early with a valid set; the same command with --resume goes on" in output
    assert len(load_set("run")) == 10
