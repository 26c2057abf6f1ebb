"""Names out of files, in paths, pages and figures: they lead into no other folder and act on no reader."""

import json
import re
import unicodedata
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datacondense import DamagedFile, InputError, Scores, condense, evaluate, keep_scores, load_set
from datacondense.cli.app import main
from datacondense.cli.commands.continual import _label
from datacondense.evaluation.score_log import saved_scores
from datacondense.experiments.experiment_plan import plan_experiment, variant_name
from datacondense.experiments.reproduction import record_path
from datacondense.methods import Random
from datacondense.report import write_report
from datacondense.report.figures import save_bars, save_heat_map, save_steps
from datacondense.synthetic.set import FILE_NAME, SyntheticSet, save
from datacondense.utils.text import file_name

NAMES = [
    "../../escape",
    "/tmp/absolute",
    "a/b",
    "a_b",
    "A_B",
    "x" * 300,
    "\x1b[2Jx",
    "\u202efdp",
    "a\nb",
    "..",
    "\\..\\up",
]


NETWORKS = ["..", ".", "a_b", "A_B", "x" * 100, "a b", "con", "a<b>", "|", "*"]
"""Names of networks that a file may hold: those with / or control characters are refused."""


def unseen(text: str) -> list[str]:
    """Characters that act on a terminal or a reader, and are not ours."""
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t"]


@pytest.fixture
def run(toy, tmp_path: Path) -> Path:
    """A run whose scores and provenance hold hostile names."""
    place = tmp_path / "deep" / "er" / "run"
    made = condense(Random(arch="MLP"), toy(), 1, out=place)
    scores = evaluate(made, toy(draw=1), archs=["MLP"], nets=2, epochs=1)

    def named(values: dict) -> dict:
        return dict.fromkeys(NETWORKS, values["MLP"])

    hostile = replace(
        scores,
        accuracy=named(scores.accuracy),
        per_class=named(scores.per_class),
        confusion=named(scores.confusion),
        protocol={**scores.protocol, "recipes": named(scores.protocol["recipes"])},
    )
    keep_scores(place, {"run": hostile})
    provenance = made.provenance.changed(method="\u202emine", machine="\u2066m")
    save(SyntheticSet(made.images, made.labels, made.spec, provenance), place / FILE_NAME)
    return place


def test_figures_of_a_report_stay_in_their_folder(run: Path, tmp_path: Path) -> None:
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    folder = tmp_path / "deep" / "figures"
    written = write_report([run], run / "report.html", figures_in=folder)
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path for path in new if path.parent != folder} == {run / "report.html"}
    assert {path.resolve() for path in written} == {path.resolve() for path in new}
    classes = [path for path in new if path.name.endswith("-classes.png") or re.search(r"-classes-\d\.png$", path.name)]
    assert len({path.name.casefold() for path in new}) == len(new)  # none wrote over another
    assert len(classes) == len(NETWORKS) - 1  # the longest is cut, and ends by a digest
    assert any("x" * 60 in path.name for path in new)
    assert not Path("/tmp/absolute-classes.png").exists()


@pytest.mark.parametrize(
    "name", ["../../escape", "/tmp/absolute", "\x1b[2Jx", "\u202efdp", "a\nb", "\\..\\up", "x" * 300, ""]
)
def test_scores_of_a_network_with_a_name_that_none_has_are_neither_kept_nor_read(run: Path, name: str) -> None:
    lines = (run / "scores.jsonl").read_text()
    (scores, *_) = saved_scores(run)
    arch = next(iter(scores.accuracy))
    renamed = json.loads(json.dumps(scores.to_json()).replace(json.dumps(arch), json.dumps(name)))
    with pytest.raises(InputError, match="cannot be saved"):
        keep_scores(run, {"run": Scores(**renamed)})
    assert (run / "scores.jsonl").read_text() == lines
    (run / "scores.jsonl").write_text(json.dumps({"run": renamed}) + "\n")
    with pytest.raises(DamagedFile, match=r"scores\.jsonl is damaged: line 1"):
        saved_scores(run)


def test_a_page_and_its_figures_hold_nothing_that_acts_on_a_reader(run: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that is missing
        write_report([run], run / "report.html", figures_in=run / "figures")
    text = (run / "report.html").read_text()
    assert not unseen(text)
    assert r"\u202emine" in text
    for path in (run / "figures").glob("*.svg"):
        assert not unseen(path.read_text())


@pytest.mark.filterwarnings("ignore:constrained_layout not applied")  # the names are long
def test_figures_of_scores_are_drawn_under_any_name(run: Path, tmp_path: Path) -> None:
    (score, *_) = saved_scores(run)
    score = replace(score, accuracy={name: values for name, values in score.accuracy.items() if len(name) < 100})
    scores = dict.fromkeys(NAMES[5:], score)
    for draw in (save_bars, save_heat_map):
        draw(scores, tmp_path / "figure.png")
    record = {"classes_seen": [1, 2], "mean": [0.5, 0.4], "std": [None, 0.1]}
    save_steps(dict.fromkeys(NAMES, record), tmp_path / "steps.png")


def test_a_run_directory_that_is_named_after_its_data_stays_in_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8), np.uint8)
    np.savez("x\u202ey\\...npz", images=images, labels=[0, 1] * 10)
    assert main(["condense", "random", "--data", "arrays:x\u202ey\\...npz", "--ipc", "1", "--arch", "MLP"]) == 0
    captured = capsys.readouterr()
    assert not unseen(captured.out + captured.err)
    (made,) = Path("runs").iterdir()
    assert made.name == file_name("random-x\u202ey\\..-ipc1-seed0")
    assert load_set(made).spec.name


@pytest.mark.parametrize(
    "data", ["folder:../../x", "..", "arrays:/tmp/a.npz", "hub:a/b", "folder:" + "x/" * 300, "\x1b"]
)
def test_experiments_on_other_data_stay_in_their_folders(data: str) -> None:
    name = variant_name("dc/mnist/1", data=data, ipc=None, iterations=None, scale=1.0)
    assert name.startswith("dc/mnist/1@")
    assert name.count("/") == 2
    assert max(len(part) for part in Path(name).parts) < 200
    assert record_path(plan_experiment("dc/mnist/1", data=data), Path("results")).parent == Path("results")


def test_memories_are_named_by_what_they_are(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep").mkdir()
    monkeypatch.chdir("deep")
    assert file_name(_label("..")) == file_name(tmp_path.stem)
    assert file_name(_label(".")) == "deep"
