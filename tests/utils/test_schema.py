"""Files with wrong fields are refused in one line that names file and field; right ones are read as they were."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from mutations import mutated

import datacondense as dc
from datacondense import DamagedFile, condense, evaluate, pictures
from datacondense.cli.app import main
from datacondense.data.sources import store
from datacondense.engine.engine import Engine
from datacondense.engine.execution import Compute, ExecutionFields
from datacondense.evaluation.score_log import keep_scores, saved_scores
from datacondense.experiments.continual import load_record
from datacondense.experiments.records import ReproductionRecord
from datacondense.experiments.rehearsal import recorded_steps
from datacondense.formats import export, import_sets
from datacondense.methods import DistributionMatching, Random
from datacondense.report import write_report
from datacondense.run import records
from datacondense.run.directory import RunDirectory
from datacondense.run.job import plan_run
from datacondense.run.snapshots import load as load_snapshot
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import Header
from datacondense.training.cached import TrainingCache
from datacondense.utils import cache
from datacondense.utils.files import parse_json, read_as, read_tensors, write_tensors
from datacondense.utils.schema import Fraction, check, field_names, readable
from datacondense.utils.streams import Streams

METHOD = DistributionMatching(arch="MLP", iterations=3, batch_real=8)
SCORES: dict[str, Any] = {
    "accuracy": {"MLP": [0.5, 1]},
    "per_class": {"MLP": [[0, None], [1.0, 0.5]]},
    "seconds": 3,
    "protocol": {"recipes": {"MLP": {"epochs": 3, "augment": "none", "lr": 0.01}}, "nets": 2},
    "trained_on": {"images": 3, "data": "toy"},
    "confusion": {"MLP": [[1, 0], [0, 1]]},
}
EXECUTION = {"device": "cpu", "precision": "fp32", "compile": False, "chunk": 8, "classes_at_once": 3, "threads": 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chunk": "8"}, "x is damaged: field chunk is str, expected int"),
        ({"chunk": True}, "x is damaged: field chunk is bool, expected int"),
        ({"chunk": 8.0}, "x is damaged: field chunk is float, expected int"),
        ({"chunk": 0}, "x is damaged: field chunk is not int >= 1"),
        ({"chunk": 2**70}, f"x is damaged: field chunk is not int <= {2**53}"),
        ({"threads": 10**9}, "x is damaged: field threads is not int <= 4096"),
        ({"device": "cpu\n"}, "x is damaged: field device is not cpu, cuda or cuda:N"),
        ({"precision": "fp16"}, "x is damaged: field precision: Invalid enum value 'fp16'"),
        ({"later": 1}, "x is damaged: field later is not known to this version: update datacondense"),
    ],
)
def test_one_line_names_the_field(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        check({**EXECUTION, **change}, ExecutionFields, "x is damaged")
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"accuracy": {}}, "field accuracy is not object of length >= 1"),
        ({"accuracy": {"MLP": []}}, "field accuracy[...] is not array of length >= 1"),
        ({"accuracy": {"MLP": [1.5, 0]}}, "field accuracy[...][0] is not float <= 1.0"),
        ({"accuracy": {"MLP": [float("nan"), 0]}}, "field accuracy[...][0] is not float >= 0.0"),
        ({"accuracy": {"MLP": [10**400, 0]}}, "field accuracy[...][0]: Number out of range"),
        ({"accuracy": {"../../x": [1]}}, "a name in accuracy is not a name without / and control characters"),
        ({"accuracy": {"a\u202eb": [1]}}, "a name in accuracy is not a name without / and control characters"),
        ({"accuracy": {"x" * 101: [1]}}, "a name in accuracy is not str of length <= 100"),
        ({"accuracy": {"LeNet": [1]}}, "field protocol.recipes lacks 'LeNet'"),
        ({"per_class": {"MLP": [[1, 1]]}}, "field per_class of 'MLP' does not have a row for each of its 2 networks"),
        (
            {"per_class": {"MLP": [[1, 1], [1]]}},
            "field per_class of 'MLP' does not have a row for each of its 2 networks",
        ),
        ({"confusion": {"MLP": [[1, 0]]}}, "field confusion of 'MLP' is not 2 x 2"),
        ({"confusion": {"MLP": [[1, -1], [0, 1]]}}, "field confusion[...][0][1] is not int >= 0"),
        ({"seconds": -1}, "field seconds is not float >= 0.0"),
        ({"trained_on": {}}, "field trained_on.images is missing"),
        ({"protocol": None}, "field protocol is null, expected object"),
    ],
)
def test_scores_that_cannot_be(change: dict[str, Any], said: str, tmp_path) -> None:
    (tmp_path / "scores.jsonl").write_text(json.dumps({"a": SCORES}) + "\n" + json.dumps({"a": {**SCORES, **change}}))
    with pytest.raises(DamagedFile) as caught:
        saved_scores(tmp_path)
    line = f"{tmp_path}/scores.jsonl is damaged: line 2 is not a score of `evaluate`: remove it: {said}"
    nan = "Out of range float values are not JSON compliant"
    assert str(caught.value) in (line, line.replace(said, nan))


def test_scores_of_before_there_was_confusion_and_of_later_versions_are_read(tmp_path) -> None:
    before = {name: value for name, value in SCORES.items() if name != "confusion"}
    later = {**SCORES, "confusion": {"MLP": []}, "later": 1}
    (tmp_path / "scores.jsonl").write_text(json.dumps({"a": before, "b": later}))
    one, other = saved_scores(tmp_path)
    assert one.to_json() == {**before, "confusion": {}}
    assert other.to_json() == {**SCORES, "confusion": {"MLP": []}}
    assert isinstance(one.accuracy["MLP"][1], int)  # as it was written


def test_what_we_write_is_as_declared_and_is_read_as_it_was(toy, tmp_path) -> None:
    run = tmp_path / "run"
    made = condense(METHOD, toy(), 1, out=run, snapshots=2, source={"source": "digits"})
    scores = evaluate(made, toy(), archs=["MLP"], nets=2, epochs=1)
    keep_scores(run, {"dm": scores})
    assert json.dumps(saved_scores(run)[0].to_json()) == json.dumps(scores.to_json())
    assert dc.load_set(run).provenance.to_json() == json.loads(json.dumps(made.provenance.to_json()))
    recorded = json.loads((run / "run.json").read_text())
    assert RunDirectory(run).recorded() == recorded
    assert check(recorded, records.Resumable).execution.threads == recorded["execution"]["threads"]
    for path, kind in ((run / "checkpoint.safetensors", records.CheckpointHeader), (run, Header)):
        _, header = read_tensors(path / "synthetic.safetensors" if path == run else path)
        check(header, kind)
    for path in (run / "snapshots").iterdir():
        assert load_snapshot(path).iteration == int(path.stem)


def test_every_record_in_the_repository_is_as_declared() -> None:
    lines = [line for path in Path("results").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert lines
    for line in lines:
        check(parse_json(line), ReproductionRecord)
    for path in Path("results").glob("continual/*.json"):
        load_record(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"execution": {**EXECUTION, "chunk": "8"}}, r"run\.json.*: field execution\.chunk is str, expected int"),
        ({"execution": None}, r"run\.json.*: field execution is null, expected object"),
        ({"settings": []}, r"run\.json.*: field settings is array, expected object"),
        ({"versions": {"torch": 2}}, r"run\.json.*: field versions\[\.\.\.\] is int, expected str"),
        ({"plugin": ["x"]}, r"run\.json.*: field plugin is array, expected object \| null"),
        ({"launch": 3}, r"run\.json.*: field launch is int, expected object \| null"),
        ({"status": 3}, r"run\.json.*: field status is int, expected str"),
    ],
)
def test_a_run_json_that_lies(change: dict[str, Any], said: str, toy, tmp_path) -> None:
    condense(METHOD, toy(), 1, out=tmp_path, time_budget=1e-9)
    run = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**run, **change}))
    before = sorted(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    with pytest.raises(DamagedFile, match=said):
        condense(METHOD, toy(), 1, out=tmp_path, resume=True)
    assert sorted(path.read_bytes() for path in tmp_path.iterdir() if path.is_file()) == before


def stopped(toy: Any, place: Path) -> Path:
    """A run of which two iterations are done, with one checkpoint."""
    condense(METHOD, toy(), 1, out=place)
    run = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**run, "status": "stopped"}))
    return place / "checkpoint.safetensors"


@pytest.mark.parametrize(
    ("header", "tensors", "said"),
    [
        ({"iteration": "3", "seconds": 1.0}, {}, "field iteration is str, expected int"),
        ({"iteration": 2}, {}, "field seconds is missing"),
        ({"iteration": 9, "seconds": 1.0}, {}, "it belongs to iteration 9 of 3"),
        ({}, {"synthetic.images": torch.zeros(1)}, "its tensors are not those of the images of this run"),
        ({}, {"synthetic.images": torch.zeros(3, 1, 1, 8, 8) / 0}, "its images are not finite"),
        ({}, {"synthetic.other": torch.zeros(1)}, "its tensors are not those of the images of this run"),
        ({}, {"optimiser.9.momentum_buffer": torch.zeros(1)}, "its optimiser stores more than 1 tensors"),
        ({}, {"optimiser.x": torch.zeros(1)}, "its optimiser stores more than 1 tensors"),
        ({}, {"optimiser.0.step": torch.zeros(())}, "its optimiser, SGD, stores momentum_buffer, step"),
        (
            {},
            {"optimiser.0.momentum_buffer": torch.zeros(1)},
            r"the state momentum_buffer of its optimiser has shape \(1,\)",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit(header, tensors, said: str, toy, tmp_path) -> None:
    path = stopped(toy, tmp_path)
    right, before = read_tensors(path)
    write_tensors(path, {**right, **tensors}, header or before)
    for previous in tmp_path.glob("*previous*"):
        previous.unlink()
    with pytest.raises(DamagedFile, match=rf"checkpoint\.safetensors is damaged: .*{said}.*no good checkpoint is left"):
        condense(METHOD, toy(), 1, out=tmp_path, resume=True)


def test_the_checkpoint_before_one_that_does_not_fit_is_taken(toy, tmp_path) -> None:
    path = stopped(toy, tmp_path)
    whole = dc.load_set(tmp_path).images
    tensors, header = read_tensors(path)
    write_tensors(tmp_path / "checkpoint.previous.safetensors", tensors, header)
    write_tensors(path, {**tensors, "synthetic.images": torch.zeros(2)}, header)
    again = condense(METHOD, toy(), 1, out=tmp_path, resume=True)
    assert torch.equal(again.images, whole)


@pytest.mark.parametrize("header", [{"iteration": "1"}, {"iteration": 7}, {"iteration": 1, "more": 2}, {}])
def test_a_snapshot_that_lies(header: dict[str, Any], tmp_path) -> None:
    path = tmp_path / "000001.safetensors"
    tensors = {"images": torch.zeros(2, 1, 4, 4, dtype=torch.uint8), "labels": torch.tensor([0, 1])}
    write_tensors(path, tensors, header)
    with pytest.raises(DamagedFile, match=r"000001\.safetensors is not a snapshot of a run"):
        load_snapshot(path)
    for wrong in ({"images": torch.zeros(2, 1, 4, 4)}, {"labels": torch.tensor([0])}):
        write_tensors(path, {**tensors, **wrong}, {"iteration": 1})
        with pytest.raises(DamagedFile, match="its tensors are not uint8"):
            load_snapshot(path)


def test_commands_end_in_one_line(toy, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    made = condense(Random(arch="MLP"), toy(), 1, out="run")
    tensors, header = read_tensors(Path("run/synthetic.safetensors"))
    for change in ({"wall_seconds": []}, {"versions": [1]}, {"real_images": "many"}, {"published": {"a/b": [1]}}):
        lying = {**header, "provenance": {**made.provenance.to_json(), **change}}
        write_tensors(Path("run/synthetic.safetensors"), tensors, lying)
        for command in ("report", "show", "storage", "export"):
            words = ["--to", "npz", "out.npz"] if command == "export" else []
            assert main([command, "run", *words]) == 2
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert "run/synthetic.safetensors: " in error
            assert f"provenance.{next(iter(change))}" in error


def test_a_complete_run_whose_set_does_not_say_how_long_it_took(toy, tmp_path) -> None:
    condense(METHOD, toy(), 1, out=tmp_path)
    tensors, header = read_tensors(tmp_path / "synthetic.safetensors")
    del header["provenance"]["wall_seconds"]
    write_tensors(tmp_path / "synthetic.safetensors", tensors, header)
    with pytest.raises(DamagedFile, match="its provenance is incomplete: field wall_seconds is missing"):
        condense(METHOD, toy(), 1, out=tmp_path, resume=True)


def test_scores_of_another_number_of_classes_are_named(toy, tmp_path) -> None:
    made = condense(Random(arch="MLP"), toy(), 1, out=tmp_path)
    own = {**SCORES, "trained_on": {"images": 3, "set_sha256": made.fingerprint()}}
    (tmp_path / "scores.jsonl").write_text(json.dumps({"a": own}))
    with pytest.raises(DamagedFile, match="its scores of MLP have 2 classes, but its set has 3"):
        write_report(tmp_path, tmp_path / "report.html")


def test_nesting_is_bounded() -> None:
    value: Any = 1
    for _ in range(99):
        value = [value]
    assert parse_json(json.dumps(value)) == value
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(json.dumps([[value]]))


def test_read_as_names_file_and_field(tmp_path) -> None:
    (tmp_path / "wandb.json").write_text('{"id": "a/b"}')
    with pytest.raises(DamagedFile, match=r"wandb\.json is damaged: field id is not letters and digits"):
        read_as(tmp_path / "wandb.json", records.WandbRun)
    (tmp_path / "wandb.json").write_text('{"id": "ab", "later": 1}')
    assert read_as(tmp_path / "wandb.json", records.WandbRun).id == "ab"


def test_values_of_other_types() -> None:
    assert check([0, 1.0], list[Fraction]) == [0.0, 1.0]
    assert readable("Expected `int`, got `str`") == "the value is str, expected int"
    assert field_names(records.CheckpointHeader) == ("iteration", "seconds")


def test_mutations_are_the_same_each_time() -> None:
    value = {"a": [1, {"b": "c"}], "d": None}
    before = copy.deepcopy(value)
    assert repr(mutated(value, random.Random(3))) == repr(mutated(value, random.Random(3)))
    assert value == before


def test_a_lying_entry_of_the_cache_is_made_again(tmp_path) -> None:
    def source() -> store.DecodedSource:
        images = ((torch.full((1, 8, 8), n, dtype=torch.uint8).numpy(), n % 2, n > 5) for n in range(8))
        return store.DecodedSource(name="toy", class_names=("a", "b"), shape=(1, 8, 8), images=images)

    store.load_or_make("key", source)
    path = cache.folder() / "sets/key/set.json"
    entry = path.read_text()
    for change in ({"notes": 3}, {"notes": [3]}, {"train": {"images": 6}}, {"spec": []}, {"test": None}):
        path.write_text(json.dumps({**json.loads(entry), **change}))
        train, test = store.load_or_make("key", source)
        assert (len(train), len(test), path.read_text()) == (6, 2, entry)


class Counting:
    """A training whose state is one tensor."""

    def __init__(self) -> None:
        self.done, self.steps, self.sum = 0, 3, torch.zeros(2)

    def step(self) -> None:
        self.sum += 1

    def state(self) -> dict[str, torch.Tensor]:
        return {"sum": self.sum}

    def restore(self, state: Any) -> None:
        self.sum = state["sum"].clone()


@pytest.mark.parametrize(
    "change",
    [
        {"done": torch.tensor(9)},
        {"done": torch.tensor(-1)},
        {"done": torch.tensor([2])},
        {"done": torch.tensor(1.0)},
        {"sum": torch.zeros(3)},
        {"sum": torch.zeros(2, dtype=torch.int64)},
    ],
    ids=str,
)
def test_a_kept_training_that_does_not_fit_is_made_again(change: dict[str, torch.Tensor], toy) -> None:
    engine = Engine(plan_run(METHOD, toy(), 1, Compute()))

    def kept() -> TrainingCache:
        return TrainingCache("tests", toy(), Streams(0), engine, {"what": "counting"})

    kept().finish(Counting(), lambda done: None)
    tensors, key = read_tensors(kept().path)
    write_tensors(kept().path, {**tensors, **change}, key)
    training = Counting()
    kept().finish(training, lambda done: None)
    assert (training.done, training.sum.tolist()) == (3, [3.0, 3.0])


def test_neighbours_that_do_not_fit(toy, tmp_path) -> None:
    made = condense(Random(arch="MLP"), toy(), 1, out=tmp_path)
    path = tmp_path / pictures.NEIGHBOURS_FILE
    tensors, header = read_tensors(path)
    for change in ({"index": torch.zeros(3)}, {"images": torch.zeros(3, 1, 8, 8)}, {"index": torch.zeros(2).long()}):
        write_tensors(path, {**tensors, **change}, header)
        with pytest.raises(DamagedFile, match=r"is damaged: its tensors are not int64"):
            pictures.load_neighbours(made, path)


@pytest.mark.parametrize("steps", [[["0"], ["1"]], [["0"], ["0"], ["1", "2"]], [[], ["0", "1", "2"]]])
def test_steps_that_are_not_those_of_the_images(steps: list[list[str]], toy) -> None:
    made = condense(Random(arch="MLP"), toy(), 1)
    one = dc.SyntheticSet(made.images, made.labels, made.spec, Provenance.from_json({"steps": steps}))
    with pytest.raises(dc.InputError, match="do not list each class of its images once"):
        recorded_steps(one, toy(), len(steps))


def test_accuracies_of_a_network_whose_name_is_a_path(toy, tmp_path) -> None:
    made = condense(Random(arch="MLP"), toy(), 1)
    content = {"data": [[made.images, made.labels]], "accs_all_exps": {"../../x": [0.5]}}
    torch.save(content, tmp_path / "one.pt")
    with pytest.raises(DamagedFile, match="a name without / and control characters"):
        import_sets(tmp_path / "one.pt", made.spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", [{"layout": 3}, {"sets": "2"}, {"folders": [1]}, {"sha256": []}, {"header": 3}])
def test_a_marker_that_lies(change: dict[str, Any], toy, tmp_path) -> None:
    export(condense(Random(arch="MLP"), toy(), 1), "folder", tmp_path / "one")
    path = tmp_path / "one/datacondense.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(dc.InputError, match=r"datacondense\.json"):
        import_sets(tmp_path / "one", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()
