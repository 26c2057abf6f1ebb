"""Options of `condense` from a file: what wins, what is refused, and a run that is repeated from its run.json."""

import json
from pathlib import Path

import pytest
import torch

from datacondense import InputError, condense, load_set
from datacondense.cli.app import main
from datacondense.cli.commands.condense import Condense
from datacondense.cli.options import seconds as seconds_of
from datacondense.cli.parsing import parse
from datacondense.methods import DistributionMatching, KernelRegression, Random


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parsed(text: str, words: str = "condense dm --config run.yaml") -> Condense:
    Path("run.yaml").write_text(text)
    return parse(words.split())


def test_a_file_gives_options_of_every_group_and_the_command_line_wins() -> None:
    text = """
    data: digits
    ipc: 3
    image-size: 16
    lr: 1e-3          # a number, though YAML 1.1 reads text
    adam: true
    iterations: 40
    time_budget: 90   # seconds
    compile: off      # text, though YAML 1.1 reads False
    classes_at_once: null
    log: [tensorboard, wandb]
    out: runs/mine
    """
    found = parsed(text, "condense dm --config run.yaml --ipc 5 --no-adam --batch-real 8")
    assert isinstance(found.method, DistributionMatching)
    assert (found.ipc, found.image_size, found.time_budget, found.out) == (5, 16, "90", Path("runs/mine"))
    assert (found.method.lr, found.method.adam, found.method.iterations, found.method.batch_real) == (
        1e-3,
        False,
        40,
        8,
    )
    assert (found.computing.compile, found.computing.classes_at_once) == ("off", None)
    assert found.session.log == ("tensorboard", "wandb")
    assert {"iterations", "ipc", "batch_real", "image_size"} <= set(found.given)
    with pytest.raises(InputError, match="unknown option '--given'"):
        parse("condense dm --given ipc".split())


def test_json_and_the_method_of_the_file() -> None:
    Path("run.json").write_text('{"method": "krr", "ipc": 2, "adam": false}')
    found = parse(["condense", "--config=run.json", "--adam"])
    assert isinstance(found.method, KernelRegression)
    assert (found.ipc, found.method.adam) == (2, True)


def test_options_for_auto() -> None:
    Path("run.yaml").write_text("method: auto\nbytes: 8k\ntime_budget: 1m")
    found = parse("condense --config run.yaml".split())
    assert (found.bytes, found.time_budget, found.ipc) == ("8k", "1m", None)


@pytest.mark.parametrize("seconds", ["1000000", "0.00001", "1234567.5", "90"])
def test_times_in_a_file_are_seconds(seconds: str) -> None:
    Path("run.yaml").write_text(f"time_budget: {seconds}\ncheckpoint_every: {seconds}")
    found = parse("condense dm --config run.yaml".split())
    for text in (found.time_budget, found.session.checkpoint_every):
        assert seconds_of("--x", text) == float(seconds)


BAD = {
    "ipcs: 3": "run.yaml: unknown option 'ipcs': did you mean 'ipc'?",
    "ipc: three": "run.yaml: ipc three: must be a whole number",
    "ipc: 1.5": "run.yaml: ipc 1.5: must be a whole number",
    "ipc: 0": "run.yaml: ipc 0: must be at least 1",
    "lr: .nan": "run.yaml: lr .nan: must be a number",
    "adam: 1": "run.yaml: adam 1: must be true or false",
    "init: zero": "run.yaml: init zero: use one of real, kmeans, noise",
    "data: [digits]": "run.yaml: data is array, expected str",
    "log: wandb": "run.yaml: log is str, expected array",
    "out: 3": "run.yaml: out 3: must not be a number",
    "ipc: 1\nipc: 2": "run.yaml cannot be read as YAML (ipc occurs twice)",
    "image_size: 8\nimage-size: 8": "run.yaml has an option twice, with - and with _: keep one",
    "a: &a 1\nipc: *a": "run.yaml cannot be read as YAML (it has an alias",
    "ipc: [": "run.yaml cannot be read as YAML (",
    "- ipc": "run.yaml holds no options by name: write one in each line, such as ipc: 10",
    "method: dc": "run.yaml is for dc, not for dm: name dc, or no method",
    "method: 3": "run.yaml: method is 3: give a name",
    "plugin: mine.py": "run.yaml: plugin: give it on the command line, as --plugin FILE",
    "given: [ipc]": "run.yaml: unknown option 'given'",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_files_are_one_line_that_names_file_and_option(text: str, capsys) -> None:
    Path("run.yaml").write_text(text)
    assert main("condense dm --config run.yaml".split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("datacondense: error: ")
    assert BAD[text] in error
    assert error.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["run.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("dm --config absent.yaml", "--config absent.yaml: there is no such file"),
        ("dm --config", "--config: name a YAML or JSON file"),
        ("dm --config a.yaml --config b.yaml", "--config: name one file, not 2"),
    ],
)
def test_the_flag_needs_one_file(words: str, message: str, capsys) -> None:
    assert main(["condense", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_a_run_is_repeated_from_its_run_json(capsys) -> None:
    quick = "--data digits --hold-out 0.2 --ipc 1 --iterations 2 --batch-real 4 --arch ConvNetD1 --seed 3 --compile off"
    assert main(["condense", "dm", *quick.split(), "--out", "a"]) == 0
    assert main("condense --config a --out b".split()) == 0
    assert torch.equal(load_set("a").images, load_set("b").images)
    first, second = (json.loads(Path(run, "run.json").read_text()) for run in "ab")
    for entry in ("settings", "source", "seed", "compile", "ipc", "data_sha256"):
        assert first[entry] == second[entry]
    assert main("condense dm --config a/run.json --ipc 2 --out c".split()) == 0
    assert len(load_set("c")) == 20


def test_what_a_run_does_not_record_has_to_be_named(capsys, toy) -> None:
    start = condense(Random(arch="MLP"), toy(), 1, out="plain")
    assert main("condense --config plain --out again".split()) == 2
    assert "run.json does not record the source of its images: name it with --data" in capsys.readouterr().err
    condense(DistributionMatching(arch="MLP", iterations=1, batch_real=4), toy(), 1, start=start, out="on")
    assert main("condense --config on --data digits --out again".split()) == 2
    assert "the run began from another set: name it with --start RUN" in capsys.readouterr().err


def test_small_classes_are_dropped_again(tmp_path) -> None:
    run = {"method": "dm", "settings": {}, "ipc": 2, "source": {"source": "digits", "min_per_class": 2}}
    Path("run.json").write_text(json.dumps(run))
    assert parse("condense --config run.json".split()).drop_small_classes
    Path("run.json").write_text(json.dumps(run | {"ipc": 1}))
    with pytest.raises(InputError, match="min_per_class was 2, which no option gives"):
        parse("condense --config run.json".split())
