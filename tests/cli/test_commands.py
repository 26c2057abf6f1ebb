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

from datacondense import METHODS, NETWORKS, InputError, load_set
from datacondense.cli import evaluated
from datacondense.cli.app import main
from datacondense.cli.commands import evaluate
from datacondense.cli.options import seconds as seconds_of
from datacondense.cli.registry import CHOOSERS
from datacondense.experiments.presets import PRESETS
from datacondense.networks import POOLS

FLAGS = Path(__file__).parents[1] / "cli_flags.txt"
OTHERS = [
    "condense",
    "evaluate",
    "rank",
    "label",
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
COMMANDS = [[], *(["condense", name] for name in (*CHOOSERS, *METHODS)), *([name] for name in OTHERS)]
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
        flags = re.findall(r"^[│ ]{0,4}(--[a-z][a-z-]*)", help_text(command, capsys), re.MULTILINE)
        lines.append(" ".join(["datacondense", *command, *flags]))
    assert "\n".join(lines) + "\n" == FLAGS.read_text()


def test_condense_evaluate_show(capsys) -> None:
    assert main(["condense", "dm", *QUICK, "--out", "runs/a"]) == 0
    output = capsys.readouterr().out
    assert "10 images from 1437" in output
    assert "next: datacondense evaluate runs/a" in output
    assert (
        main("evaluate runs/a --nets 2 --epochs 3 --beside random whole --whole-epochs 2 --class-accuracies".split())
        == 0
    )
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
    assert "note: the first 20 of 22 classes: choose with --classes" in capsys.readouterr().err
    assert main("show run --classes kat".split()) == 2
    error = "unknown class 'kat': did you mean 'cat'? `datacondense show run` lists them"
    assert error in capsys.readouterr().err


def test_the_default_run_directory_names_the_run(capsys) -> None:
    assert main(["condense", "dm", *QUICK, "--seed", "5"]) == 0
    assert load_set("runs/dm-digits-ipc1-seed5").provenance.seed == 5


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
    printed = output[output.index("trained on") :].splitlines()
    header, *rows = [re.split(r" {2,}", line) for line in printed[:3]]
    assert header == ["trained on", "ConvNetNP", "ConvNetMP", "ConvNetAP"]
    assert [row[0] for row in rows] == ["dm", "random"]
    for row in rows:
        assert all(re.fullmatch(r"\d+\.\d \± \d+\.\d", cell) for cell in row[1:])
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


@pytest.mark.filterwarnings("default:pool D leaves out:UserWarning")
def test_a_pool_says_which_networks_it_leaves_out(capsys) -> None:
    assert main("condense random --data digits --ipc 1 --out runs/a".split()) == 0
    assert main("evaluate runs/a --pool D --nets 1 --epochs 1".split()) == 0
    captured = capsys.readouterr()
    assert "note: pool D leaves out ConvNetD4: a ConvNet of depth 4 needs images of at least 16x16" in captured.err
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
    assert main("evaluate [/x] --nets 1 --epochs 1 --class-accuracies --figure bars.png".split()) == 0
    output = capsys.readouterr().out
    assert [name for name in names if name not in output] == []
    assert main("report [/x] --figures figures".split()) == 0
    assert main("storage [/x]".split()) == 0
    assert "[/x]" in capsys.readouterr().out


def test_a_line_cut_short_by_a_crash_does_not_take_the_next_score(capsys) -> None:
    assert main("condense random --data digits --ipc 1 --arch MLP --out run".split()) == 0
    Path("run/scores.jsonl").write_text('{"random": {"acc')
    assert main("evaluate run --nets 1 --epochs 1 --out s.json".split()) == 2
    assert "line 1 is not a score of `evaluate`" in capsys.readouterr().err
    _, kept = Path("run/scores.jsonl").read_text().splitlines()
    assert json.loads(kept)["random"]["accuracy"] == json.loads(Path("s.json").read_text())["random"]["accuracy"]
    Path("run/scores.jsonl").write_text(f"{kept}\n")
    assert main("report run".split()) == 0


@pytest.mark.filterwarnings("ignore:.* does not hold the images:UserWarning")
@pytest.mark.parametrize("more", ["", "--dry-run", "--columns own", "--beside random"])
def test_a_set_that_does_not_fit_the_test_images_is_refused_before_any_trains(
    more: str, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for name, side in (("small", 8), ("large", 12)):
        images, labels = rng.integers(0, 256, (24, side, side), dtype=np.uint8), np.arange(24) % 4
        np.savez(f"{name}.npz", images=images, labels=labels, test_images=images, test_labels=labels)
        assert main(f"condense random --data arrays:{name}.npz --ipc 1 --arch MLP --out runs/{name}".split()) == 0
    capsys.readouterr()
    monkeypatch.setattr(evaluate, "train_share", None)  # not to be called
    monkeypatch.setattr(evaluated, "estimate_by", None)
    assert main(f"evaluate runs/small runs/large --nets 1 --epochs 1 {more}".split()) == 2
    error = capsys.readouterr().err
    assert "error: runs/large: the test images of 'small' do not fit the set made from 'large': shape" in error


def test_validation_accuracies_are_called_so(capsys) -> None:
    assert main("condense random --data digits --hold-out 0.2 --ipc 1 --arch MLP --out run".split()) == 0
    assert main("evaluate run --on validation --nets 1 --epochs 1".split()) == 0
    output = capsys.readouterr().out
    assert "validation accuracy %" in output
    assert "test accuracy" not in output


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_a_loss_that_explodes_is_one_line_and_exit_code_2(capsys) -> None:
    arguments = "condense dm --data digits --ipc 1 --iterations 200 --batch-real 4 --arch ConvNetNN --lr 1e6 --out run"
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert "no longer finite at iteration" in error
    assert "--lr 1000000.0; use a smaller one" in error
    assert torch.isfinite(load_set("run").images).all()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5s", 1.5), ("5m", 300), ("1h30m", 5400), ("2h", 7200), ("1h30s", 3630)],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of("--x", text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 m", "5d", "-5m", "1m1h", "1h30"])
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
    command += ["100000", "--compile", "off"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not Path("run/log.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping after this update" in output
    assert "datacondense: stopped early with a valid set; run the same command with --resume to continue" in output
    assert len(load_set("run")) == 10
