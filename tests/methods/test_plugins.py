"""Methods of others: docs/your-own-method.md runs as it is written, and what is wrong with a file is said in a line."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import shell
import torch

from datacondense import METHODS, InputError, condense, load_set
from datacondense.cli.app import main
from datacondense.methods.plugins import defined
from datacondense.report.command import command
from datacondense.utils.plugins import run_file

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-method.md").read_text()
HEAD = "from dataclasses import dataclass\nfrom datacondense.methods import Matching\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def block(language: str) -> str:
    """Return the first block of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
def test_the_page_runs_as_it_is_written(capsys) -> None:
    Path("near_means.py").write_text(block("python"))
    for line in shell.commands(block("console")):
        arguments = shlex.split(line)[1:]
        if "--help" in arguments:
            with pytest.raises(SystemExit) as end:
                main(arguments)
            assert end.value.code == 0
            assert "What the distance is multiplied by" in " ".join(capsys.readouterr().out.split())
        else:
            assert main(arguments) == 0
    made = load_set("runs/means")
    assert made.provenance.method == "near-means"
    assert made.provenance.settings["strength"] == 2
    assert Path("runs/continual/near-means/continual.json").exists()


def test_it_is_resumed_as_any_other(capsys) -> None:
    Path("near_means.py").write_text(block("python"))
    common = "condense near-means --plugin=near_means.py --data digits --ipc 1 --batch-real 16"
    assert main(f"{common} --iterations 6 --out whole".split()) == 0
    assert main(f"{common} --iterations 6 --out parted --time-budget 0.001s".split()) == 0
    assert main(f"{common} --iterations 6 --out parted --resume".split()) == 0
    assert torch.equal(load_set("whole").images, load_set("parted").images)
    assert command(load_set("whole").provenance) == (
        f"datacondense condense near-means --plugin {Path('near_means.py').absolute()} "
        "--data digits --ipc 1 --iterations 6 --arch ConvNet --batch-real 16 --seed 0"
    )


def test_a_run_says_so_when_its_method_has_changed_on_the_way(capsys) -> None:
    Path("near_means.py").write_text(block("python"))
    options = "--data digits --ipc 1 --batch-real 16 --iterations 6 --out it".split()
    assert main(["condense", "near-means", "--plugin", "near_means.py", *options, "--time-budget", "0.001s"]) == 0
    for name, text, said in (
        ("moved", block("python"), False),
        ("changed", block("python").replace("self.strength *", "2 * self.strength *"), True),
    ):
        METHODS.pop("near-means")
        Path(f"{name}.py").write_text(text)
        capsys.readouterr()
        arguments = [*options, "--resume", *(["--time-budget", "0.001s"] if name == "moved" else [])]
        assert main(["condense", "near-means", "--plugin", f"{name}.py", *arguments]) == 0
        assert ("near-means has changed since the run began" in capsys.readouterr().out) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "--plugin mine.py: there is no such file"),
        ("1 +", "--plugin mine.py: SyntaxError: invalid syntax"),
        ("import absent_package", "--plugin mine.py: ModuleNotFoundError: No module named 'absent_package'"),
        ("raise SystemExit(3)", "--plugin mine.py: SystemExit: 3"),
        (f"{HEAD}class Half(Matching): pass", "--plugin mine.py: class Half lacks iterate"),
        ("x = 1", "--plugin mine.py: it registers nothing: derive a class from datacondense.Method, or fill a dict"),
        (HEAD, "it registers nothing"),  # one that is imported does not count
        (
            f"{HEAD}class Mine(Matching):\n def workload(self, ipc): ...\n def iterate(self, *a): ...",
            "write @dataclass",
        ),
        (
            f"{HEAD}@dataclass(frozen=True, kw_only=True)\nclass Random(Matching):\n def workload(self, ipc): ...\n"
            " def iterate(self, *a): ...",
            "there is already a method random: choose another name",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_line(content: str | None, said: str, capsys) -> None:
    if content is not None:
        Path("mine.py").write_text(content)
    assert main("condense mine --plugin mine.py --data digits".split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


BARE = f"""{HEAD}from datacondense.methods import Workload
@dataclass(frozen=True, kw_only=True)
class Bare(Matching):
    SETTINGS
    def workload(self, ipc): return Workload(passes=0, real=1, synthetic=ipc)
    def iterate(self, run): BODY
"""


@pytest.mark.parametrize(
    ("settings", "body", "said"),
    [
        ("pass", "return run.synthetic().sum()", "Bare.iterate does not yield: write `yield loss` for each update"),
        ("pass", "yield from ()", "Bare.iterate yielded no loss"),
        (
            "seed: int = 3",
            "yield run.synthetic().sum()",
            "bare has a setting seed, which is also an option of every run: rename it",
        ),
        (
            "def __post_init__(self): raise ValueError('no luck')",
            "yield run.synthetic().sum()",
            "error: no luck; see `datacon",
        ),
    ],
)
def test_what_a_method_does_wrong_is_told_its_writer(settings: str, body: str, said: str, capsys) -> None:
    Path("bare.py").write_text(BARE.replace("SETTINGS", settings).replace("BODY", body))
    quick = "condense bare --plugin bare.py --data digits --ipc 1 --iterations 2 --arch MLP --out out"
    assert main(quick.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_plugin_without_a_command(capsys) -> None:
    Path("near_means.py").write_text(block("python"))
    assert main(["--plugin", "near_means.py"]) == 2
    assert "--plugin: name a command before it" in capsys.readouterr().err


def test_a_setting_without_a_default_must_be_given(capsys) -> None:
    Path("bare.py").write_text(
        f"{HEAD}from datacondense.methods import Workload\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Bare(Matching):\n"
        "    power: float\n    def workload(self, ipc): return Workload(passes=0, real=1, synthetic=ipc)\n"
        "    def iterate(self, run): yield run.synthetic().abs().pow(self.power).sum()\n"
    )
    quick = "continual --plugin bare.py --memory bare --data digits --steps 1 --ipc 1 --orders 1 --nets 1 --epochs 1"
    quick = [*quick.split(), "--epochs", "1", "--arch", "MLP", "--out", "out"]
    assert main(quick) == 2
    assert "bare needs a value for power: give --set bare.power=VALUE" in capsys.readouterr().err
    assert main([*quick, "--set", "power=2", "iterations=2"]) == 0
    assert load_set("out/bare/order0").provenance.settings["power"] == 2.0


def test_plugin_without_a_file(capsys) -> None:
    assert main(["list", "methods", "--plugin"]) == 2
    assert "--plugin: name a Python file" in capsys.readouterr().err


def test_methods_of_installed_packages_are_found(tmp_path) -> None:
    """A real package, as pip leaves it, in a process of its own; one that is broken does not keep the other away."""
    site = tmp_path / "site"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "theirs.py").write_text(block("python"))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[datacondense.methods]\nnear-means = theirs:NearMeans\nbroken = theirs:Absent\n"
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from datacondense.cli import app; app.main(['list', 'methods'])"
    )
    done = subprocess.run([sys.executable, "-c", code, site], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "near-means" in done.stdout
    assert "method 'broken' (theirs:Absent) cannot be loaded" in done.stderr


def test_names_come_from_classes() -> None:
    names = ["NearMeans", "MTT", "ConvNetPool2", "ADMethod"]
    body = "(Matching):\n def workload(self, ipc): ...\n def iterate(self, *a): ...\n"
    classes = [f"@dataclass(frozen=True, kw_only=True)\nclass {name}{body}" for name in names]
    Path("mine.py").write_text(HEAD + "".join(classes))
    assert sorted(defined(run_file("mine.py").module)) == ["ad-method", "conv-net-pool2", "mtt", "near-means"]


def test_a_method_of_a_file_works_in_python_without_registration(toy) -> None:
    space: dict = {"__name__": "mine"}
    exec(compile(block("python"), "near_means.py", "exec"), space)
    made = condense(space["NearMeans"](iterations=3, batch_real=8, arch="MLP"), toy(), 1)
    assert made.provenance.method == "NearMeans"
    with pytest.raises(InputError, match="--lr"):
        condense(space["NearMeans"](iterations=3, lr=-1.0), toy(), 1)
