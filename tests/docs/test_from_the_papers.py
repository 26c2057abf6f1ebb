"""Every command of docs/from-the-papers.md runs, on few and small digits, and none of the published ones is missing."""

import json
import math
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shell
from sklearn.datasets import load_digits

from datacondense import load_set
from datacondense.cli.app import main
from datacondense.experiments.continual_presets import CONTINUAL_PRESETS
from datacondense.experiments.presets import PRESETS
from datacondense.methods import DC, DSA, DistributionMatching, Herding, Random, method_name
from datacondense.networks import pool_archs

PAGE = (Path(__file__).parents[2] / "docs/from-the-papers.md").read_text()
CLASSES, OF_CLASS = 2, 30  # a fifth of them is for testing
HEAVY = "ResNet18"  # seconds for one gradient of 256 images

Case = tuple[str, ...]


VARIANTS = (Path(__file__).parents[2] / "docs" / "methods" / "variants.md").read_text()
REGRESSION = (Path(__file__).parents[2] / "docs" / "methods" / "krr.md").read_text()


def cases() -> list[Case]:
    """The page's commands without `datacondense`: each `reproduce` alone, the others of a block in their order."""
    found: list[Case] = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        lines = shell.commands(block)
        assert all(line.startswith("datacondense ") for line in lines)
        commands = tuple(line.removeprefix("datacondense ") for line in lines)
        alone = all(command.startswith("reproduce") for command in commands)
        found += [(command,) for command in commands] if alone else [commands]
    return found


def parameter(case: Case):
    slow = case[0].startswith("reproduce") and HEAVY in case[0]
    return pytest.param(case, id=case[0], marks=[pytest.mark.slow] if slow else [])


@pytest.fixture(scope="module")
def small_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of handwritten digits, 16x16 pixels, which a ConvNet of depth 4 serves."""
    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    index = np.concatenate([np.flatnonzero(labels == k)[:OF_CLASS] for k in range(CLASSES)])
    images = np.kron(pixels[index].reshape(-1, 8, 8) / 16, np.ones((2, 2)))
    path = tmp_path_factory.mktemp("data") / "mnist.npz"
    np.savez(path, images=images, labels=labels[index])
    return path


def at_toy_scale(command: str, data: Path) -> list[str]:
    """The words of a command, with other data and as little to do as can be."""
    words = shlex.split(command)
    smaller: dict[str, dict[str, str]] = {
        "reproduce": {"--data": f"arrays:{data}", "--scale": "1e-5", "--seeds": "1", "--nets": "1", "--ipc": "1"},
        "condense": {"--data": f"arrays:{data}", "--iterations": "1", "--ipc": "1"},
        "evaluate": {"--nets": "1", "--epochs": "1"},
        "results": {},
    }
    compiled = {} if words[0] == "results" else {"--compile": "off"}
    for flag, value in {**smaller[words[0]], **compiled}.items():
        if flag in words:
            words[words.index(flag) + 1] = value
        else:
            words += [flag, value]
    return words


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def check_continual(name: str) -> None:
    (path,) = Path("results/continual").glob("*.json")
    record, preset = json.loads(path.read_text()), CONTINUAL_PRESETS[name]
    assert record["method"] == method_name(preset.memory) == name.rsplit("/", 1)[1]
    assert record["classes_seen"] == [2]  # all there are: networks need two classes to tell apart
    assert all(0 <= mean <= 1 for mean in record["mean"])
    assert next(Path("runs/reproduce/continual").rglob("continual.png")).stat().st_size > 1000


def check_record(name: str) -> None:
    if name in CONTINUAL_PRESETS:
        check_continual(name)
        return
    (path,) = Path("results").glob("*.jsonl")
    (record,) = map(json.loads, path.read_text().splitlines())
    preset = PRESETS[name]
    assert record["preset"] == name
    assert record["changed"]
    assert set(record["scores"]) == set(pool_archs(preset.pool, preset.method.arch))  # all serve 16x16
    for score in record["scores"].values():
        assert score["n"] == 1
        assert math.isfinite(score["mean"])
    assert [path.name for path in Path("runs/reproduce").rglob("seed*")] == ["seed0"]


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
@pytest.mark.parametrize("case", [parameter(case) for case in cases()])
def test_the_commands_run(case: Case, small_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, preset in PRESETS.items():  # --scale leaves the updates under each network
        if isinstance(preset.method, DSA) and preset.method.updates:
            monkeypatch.setitem(PRESETS, name, replace(preset, method=replace(preset.method, updates=2)))
    (tmp_path / "docs").mkdir()
    for command in case:
        words = at_toy_scale(command, small_digits)
        assert main(words) == 0
        match words[0]:
            case "reproduce":
                check_record(words[1])
            case "results":
                assert f"| {case[0].split()[1]}@" in Path("docs/results.md").read_text()
            case "condense":
                made = load_set(after(words, "--out"))
                assert len(made) == CLASSES
                assert made.provenance.iterations_done == 1
            case "evaluate":
                runs = [Path(word) for word in words[1 : words.index("--pool")]]
                archs = pool_archs(after(words, "--pool"), load_set(runs[0]).provenance.settings["arch"])
                for run in runs:
                    (scores,) = json.loads((run / "scores.jsonl").read_text()).values()
                    assert set(scores["accuracy"]) == set(archs)
                    assert all(0 <= values[0] <= 1 for values in scores["accuracy"].values())
                assert "--figure" not in words or Path(after(words, "--figure")).stat().st_size > 1000


# What the authors' README publishes, command by command.
DATA = {
    "MNIST": "mnist",
    "FashionMNIST": "fashion-mnist",
    "SVHN": "svhn",
    "CIFAR10": "cifar10",
    "CIFAR100": "cifar100",
}
CROSS = "MLP, LeNet, ConvNet, AlexNet, VGG11BN, ResNet18BN_AP".split(", ")
WITH_BATCH_NORM = "ConvNetBN AlexNetBN VGG11BN ResNet18BN_AP ResNet18BN ConvNetASwishBN".split()
ABLATIONS = """
    ConvNetW32 W   ConvNetW64 W   ConvNetW128 W  ConvNetW256 W
    ConvNetD1 D    ConvNetD2 D    ConvNetD3 D    ConvNetD4 D
    ConvNetAS A    ConvNetAR A    ConvNetAL A
    ConvNetNP P    ConvNetMP P    ConvNetAP P
    ConvNetNN N    ConvNetBN N    ConvNetLN N    ConvNetIN N    ConvNetGN N
""".split()
ALL, NO_FLIP = "color_crop_cutout_flip_scale_rotate", "color_crop_cutout_scale_rotate"


def experiments(start: str) -> list[tuple]:
    """What the presets of a name that begins so run: data, model, ipc, pool, sets, networks."""
    chosen = [preset for name, preset in PRESETS.items() if name.startswith(start)]
    return [(p.data, p.method.arch, p.ipc, p.pool, p.sets, p.nets) for p in chosen]


@pytest.mark.parametrize("method", ["dc", "dsa"])
def test_the_basic_experiments_of_gradient_matching_are_there(method: str) -> None:
    for data in DATA.values():
        expected = [(data, "ConvNet", ipc, "S", 5, 20) for ipc in (1, 10, 20, 30, 40, 50)]
        assert experiments(f"{method}/{data}/") == expected


def test_the_cross_architecture_experiments_are_there() -> None:
    assert experiments("dc/cross/") == [("mnist", arch, 1, "M", 5, 20) for arch in CROSS]
    for arch in CROSS:
        assert PRESETS[f"dc/cross/{arch}"].method == DC(arch=arch, lr=0.01 if arch == "MLP" else 0.1)
    for method in ("dsa", "dm"):
        assert experiments(f"{method}/cross/") == [("cifar10", arch, 50, "B", 5, 5) for arch in WITH_BATCH_NORM]


def test_the_ablations_are_there() -> None:
    expected = [("mnist", arch, 1, pool, 5, 20) for arch, pool in zip(ABLATIONS[::2], ABLATIONS[1::2], strict=True)]
    kinds = ("width", "depth", "activation", "pooling", "norm")
    assert [experiment for kind in kinds for experiment in experiments(f"dc/{kind}/")] == expected


def test_the_distances_are_there() -> None:
    for distance in ("ours", "mse", "cos"):
        assert experiments(f"dc/distance/{distance}/") == [("mnist", arch, 1, "S", 5, 20) for arch in CROSS]
        for arch in CROSS:
            method = PRESETS[f"dc/distance/{distance}/{arch}"].method
            assert method == DC(arch=arch, distance=distance, lr=0.01 if arch == "MLP" else 0.1)


def test_the_strategies_of_dsa_are_there() -> None:
    singles = "color, crop, cutout, flip, scale, rotate".split(", ")
    for data in ("mnist", "fashion-mnist", "svhn", "cifar10"):
        for strategy in (*singles, NO_FLIP, ALL):
            preset = PRESETS[f"dsa/strategy/{data}/{strategy}"]
            assert preset.method == DSA(arch="ConvNet", augment=strategy, init="real")
            assert (preset.data, preset.ipc, preset.pool, preset.sets, preset.nets) == (data, 10, "S", 5, 20)
    assert len([name for name in PRESETS if name.startswith("dsa/strategy/")]) == 4 * 8


def test_distribution_matching_is_there() -> None:
    learning_rates = {
        "cifar10": {1: 1, 10: 1, 50: 1, 100: 10, 200: 10, 500: 10, 1000: 10, 1250: 10},
        "cifar100": {1: 1, 10: 1, 50: 1, 100: 1, 125: 1},
        "tiny-imagenet": {1: 1, 10: 1, 50: 1},
    }
    for data, published in learning_rates.items():
        arch = "ConvNetD4" if data == "tiny-imagenet" else "ConvNet"
        assert experiments(f"dm/{data}/") == [(data, arch, ipc, "S", 5, 5) for ipc in published]
        for ipc, lr in published.items():
            assert PRESETS[f"dm/{data}/{ipc}"].method == DistributionMatching(arch=arch, lr=lr, init="real")


def test_continual_learning_is_there() -> None:
    kinds = {"random": Random, "herding": Herding, "dsa": DSA, "dm": DistributionMatching}
    memories = {name: kind(arch="ConvNet") for name, kind in kinds.items()}
    expected = [("cifar100", steps, 20, 5, 3, 1000, memory) for steps in (5, 10) for memory in memories.values()]
    found = [(p.data, p.steps, p.ipc, p.orders, p.nets, p.epochs, p.memory) for p in CONTINUAL_PRESETS.values()]
    assert found == expected
    assert list(CONTINUAL_PRESETS) == [f"continual/cifar100/{steps}/{name}" for steps in (5, 10) for name in memories]


def test_the_page_names_every_family_of_presets_and_every_module() -> None:
    listed = {command.split()[1] for case in cases() for command in case if command.startswith("reproduce")}
    assert listed - set(CONTINUAL_PRESETS) <= set(PRESETS)
    assert set(CONTINUAL_PRESETS) <= listed
    listed &= set(PRESETS)

    def family(name: str) -> str:
        first, second, *rest = name.split("/")
        return f"{first}/{second}" if len(rest) > 1 or not rest[0].isdigit() else first

    variants = set(re.findall(r"^\| `([a-z0-9/-]+)/` ", VARIANTS, re.MULTILINE))
    regressions = set(re.findall(r"^datacondense reproduce ([a-z]+)/", REGRESSION, re.MULTILINE))
    assert {family(name) for name in listed} | variants | regressions == {family(name) for name in PRESETS}
    for kind in ("cross", "width", "depth", "activation", "pooling", "norm"):
        assert {name for name in PRESETS if name.startswith(f"dc/{kind}/")} <= listed
    assert {name for name in PRESETS if re.match(r"d(sa|m)/cross/", name)} <= listed


def test_the_page_names_what_varies_in_the_names() -> None:
    for word in (*DATA.values(), "tiny-imagenet", ALL, NO_FLIP, "DISTANCE", "STRATEGY", "MODEL", "IPC"):
        assert word in PAGE
