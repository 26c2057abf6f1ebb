"""Files of --plugin: docs/plugins.md runs as it is written, and what is wrong with a file is reported in a line."""

import pickle
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import shell
import torch

from datacondense import METHODS, NETWORKS, DataSource, InputError, Network, evaluate, load_set
from datacondense.cli.app import main
from datacondense.cli.plugin_files import load_file, registries
from datacondense.data.registry import DATASETS
from datacondense.engine.losses import LOSSES
from datacondense.formats.local_paths import without_local_paths
from datacondense.networks import build
from datacondense.report.command import command
from datacondense.synthetic.decoders import DECODERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
FILE, SCRIPT = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def registries_as_before(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = {name: set(registry) for name, registry in registries().items()}
    yield
    for name, registry in registries().items():
        for key in set(registry) - before[name]:
            del registry[key]


def test_the_page_runs_as_it_is_written(capsys) -> None:
    Path("mine.py").write_text(FILE)
    (console,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in shell.commands(console):
        words = shlex.split(line)
        assert words[0] == "datacondense"
        assert main(words[1:]) == 0, line
    output = capsys.readouterr().out
    assert "few-digits" in output
    assert "perceptron" in output
    made = load_set("runs/mirrored")
    assert torch.equal(made.images[..., :4], made.images[..., 4:].flip(-1))
    assert made.provenance.settings["form"] == "mirrored"
    assert made.provenance.source == {"source": "few-digits"}
    assert Path("mirrored.png").exists()
    assert list(Path("exported").rglob("*.png"))


def test_files_of_the_same_name_are_modules_of_their_own() -> None:
    for number, folder in enumerate(("one", "other")):
        Path(folder).mkdir()
        text = f"def loss{number}(a, b, t): ...\nLOSSES = {{'loss{number}': loss{number}}}\n"
        Path(folder, "mine.py").write_text(text)
        load_file(f"{folder}/mine.py")
    for number in range(2):
        loss = LOSSES[f"loss{number}"]
        assert pickle.loads(pickle.dumps(loss)) is loss


def test_a_file_that_fails_leaves_no_module() -> None:
    before = set(sys.modules)
    Path("failing.py").write_text("raise ValueError('x')\n")
    with pytest.raises(InputError, match=r"--plugin failing\.py: ValueError: x"):
        load_file("failing.py")
    assert not [name for name in set(sys.modules) - before if "failing" in name]


def test_a_file_may_import_a_registry_to_look_something_up() -> None:
    text = "from datacondense import METHODS, NETWORKS\nLOSSES = {'mine': lambda logits, labels, t: None}\n"
    Path("looking.py").write_text(text)
    assert load_file("looking.py") == {"LOSSES": ["mine"]}


def test_a_second_name_of_an_object_is_refused() -> None:
    text = "from datacondense import DistributionMatching\nMETHODS = {'dm2': DistributionMatching}\n"
    Path("again.py").write_text(text)
    with pytest.raises(InputError, match="it is the method dm already"):
        load_file("again.py")
    assert "dm2" not in METHODS


def test_the_script_of_the_page_runs(capsys) -> None:
    exec(compile(SCRIPT, "plugins.md", "exec"), {})
    assert len(capsys.readouterr().out.split()) == 2
    assert "tiny" not in NETWORKS


def test_every_object_is_registered_with_its_origin() -> None:
    Path("mine.py").write_text(FILE)
    assert load_file("mine.py") == {
        "NETWORKS": ["perceptron"],
        "DECODERS": ["mirrored"],
        "LOSSES": ["smoothed"],
        "DATA": ["few-digits"],
    }
    for registry, name in ((NETWORKS, "perceptron"), (DECODERS, "mirrored"), (LOSSES, "smoothed")):
        origin = registry.origin(name)
        assert origin is not None
        assert origin["file"] == str(Path("mine.py").absolute())
        assert len(origin["sha256"]) == 64
    spec = DataSource("few-digits").load()[0].spec
    network = build("perceptron", spec)
    assert isinstance(network, Network)
    assert network.embed(torch.zeros(2, *spec.shape)).shape == (2, 64)
    losses = LOSSES["smoothed"](torch.zeros(5, 10), torch.arange(5), 1.0)
    torch.testing.assert_close(losses, torch.full((5,), torch.tensor(10.0).log().item()))


def test_a_set_needs_the_plug_in_of_its_decoder_and_its_data(capsys) -> None:
    Path("mine.py").write_text(FILE)
    condense = "condense dm --plugin mine.py --data few-digits --arch MLP --form mirrored --ipc 1 --iterations 1"
    assert main([*condense.split(), "--batch-real", "8", "--out", "run"]) == 0
    del DECODERS["mirrored"], DATASETS["few-digits"]
    capsys.readouterr()
    assert main(["storage", "run"]) == 2
    error = capsys.readouterr().err
    assert "mirrored" in error
    assert "--plugin" in error
    assert error.count("\n") == 1
    Path("decoders.py").write_text(
        FILE.replace("DATA =", "OTHERS =").replace("NETWORKS =", "X =").replace("LOSSES =", "Y =")
    )
    assert main(["evaluate", "run", "--plugin", "decoders.py", "--nets", "1", "--epochs", "1"]) == 2
    assert "unknown data 'few-digits': " in capsys.readouterr().err


def test_a_run_records_every_plug_in_and_tells_of_changes(capsys) -> None:
    Path("mine.py").write_text(FILE)
    line = "condense dm --data few-digits --arch perceptron --form mirrored --ipc 1 --batch-real 8 --iterations 6"
    assert main([*line.split(), "--plugin", "mine.py", "--out", "run", "--time-budget", "0.001s"]) == 0
    made = load_set("run").provenance
    origin = {"file": str(Path("mine.py").absolute()), "sha256": made.plugins["network"]["sha256"]}
    assert made.plugins == {"network": origin, "decoder": origin, "data": origin}
    assert made.plugin == {}
    assert (command(made) or "").startswith(f"datacondense condense dm --plugin {origin['file']} --data few-digits ")
    assert (command(made) or "").count("--plugin") == 1
    for name, text, said in (("moved", FILE, False), ("changed", FILE.replace("width=64", "width=65 - 1"), True)):
        for registry, key in ((NETWORKS, "perceptron"), (DECODERS, "mirrored"), (LOSSES, "smoothed")):
            del registry[key]
        del DATASETS["few-digits"]
        Path(f"{name}.py").write_text(text)
        capsys.readouterr()
        budget = [] if said else ["--time-budget", "0.001s"]
        assert main([*line.split(), "--plugin", f"{name}.py", "--out", "run", "--resume", *budget]) == 0
        output = " ".join(capsys.readouterr().out.split())
        assert ("the network perceptron has changed since the run began" in output) == said
        assert ("the decoder has changed since the run began" in output) == said
    kept = without_local_paths(load_set("run").provenance)
    assert {one["file"] for one in kept.plugins.values()} == {"changed.py"}


def test_several_files_on_one_line(capsys) -> None:
    Path("one.py").write_text("def small(data_dir): ...\nDATA = {'small': small}\n")
    Path("two.py").write_text("def large(data_dir): ...\nDATA = {'large': large}\n")
    assert main(["list", "--plugin", "one.py", "data", "--plugin=two.py"]) == 0
    assert {"small", "large"} <= set(capsys.readouterr().out.split())


METHOD = """
from dataclasses import dataclass
from datacondense.methods import Matching
@dataclass(frozen=True, kw_only=True)
class Mine(Matching):
    def iterate(self, run): ...
@dataclass(frozen=True, kw_only=True)
class Other(Matching):
    def iterate(self, run): ...
METHODS = {"by-name": Mine}
"""


def test_a_method_has_the_name_in_the_dict_or_that_of_its_class() -> None:
    Path("mine.py").write_text(METHOD)
    assert load_file("mine.py") == {"METHODS": ["other", "by-name"]}
    assert METHODS["by-name"].__name__ == "Mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "NETWORKS = {}",
            "it registers nothing: derive a class from datacondense.Method, or fill a dict METHODS, NETWOR",
        ),
        ("NETWORKS = ['a']", "NETWORKS is of type list: write a dict, NETWORKS = {'name': ...}"),
        ("NETWORKS = {'MLP': print}", "there is already a network MLP: choose another name"),
        ("DATA = {'a b': print}", "'a b' cannot be the name of a data set: take letters, digits, - and _"),
        ("DATA = {3: print}", "3 cannot be the name of a data set"),
        ("LOSSES = {'mine': lambda logits: 0}", "loss mine cannot be called with (logits, labels, temperature): write"),
        ("LOSSES = {'mine': 3}", "loss mine is of type int: write a function of (logits, labels, temperature)"),
        ("from torch import nn\nNETWORKS = {'mine': nn.Linear(2, 2)}", "network mine is a module: write a function of"),
        ("NETWORKS = {'mine': lambda: 0}", "network mine cannot be called with (spec): write a function of (spec)"),
        ("DECODERS = {'mine': print}", "decoder mine is not a class derived from datacondense.synthetic.decoders.Dec"),
        ("METHODS = {'mine': print}", "method mine is not a class derived from datacondense.Method"),
        (METHOD.replace("by-name", "other"), "METHODS names two methods other: choose another name"),
        (f"{FILE}DECODERS['half'] = Decoder", "class Decoder lacks decode and encode and views"),
        (
            f"{FILE}class Loose(Mirrored): ...\nDECODERS['l'] = Loose",
            "write @dataclass(frozen=True, kw_only=True) above",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_reported_in_a_line_and_nothing_is_registered(
    content: str, message: str, capsys
) -> None:
    before = {name: list(registry) for name, registry in registries().items()}
    Path("mine.py").write_text(content)
    assert main(["list", "archs", "--plugin", "mine.py"]) == 2
    error = capsys.readouterr().err
    assert f"datacondense: error: --plugin mine.py: {message}" in error
    assert error.count("\n") == 1
    assert {name: list(registry) for name, registry in registries().items()} == before


def test_unknown_names_tell_of_plug_ins(toy) -> None:
    for call in (lambda: build("mine", toy().spec), lambda: evaluate(toy(), toy(), archs="mine", nets=1, epochs=1)):
        with pytest.raises(InputError, match=r"unknown arch 'mine': .*; --plugin FILE\.py loads your own"):
            call()
