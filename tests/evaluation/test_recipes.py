"""Evaluation by the recipe of a set, the published one, or one of a file."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from datacondense import (
    InputError,
    Recipe,
    Spec,
    SyntheticSet,
    condense,
    evaluate,
    export,
    keep_scores,
    load_set,
    write_report,
)
from datacondense.cli.app import main
from datacondense.cli.display import cross_table, score_table
from datacondense.evaluation.protocol import protocol_for
from datacondense.evaluation.score_log import saved_scores
from datacondense.evaluation.scores import Scores
from datacondense.experiments.experiment_plan import plan_experiment
from datacondense.methods import Random
from datacondense.synthetic.set import save

OWN = Recipe(
    epochs=7, augment="crop", optimiser="adam", lr=0.003, schedule="cosine", warm_up=2, loss="mse", ema=0.9, batch=16
)
QUICK = {"archs": ["MLP"], "nets": 2, "compile": "off"}


@pytest.fixture
def plain(toy) -> SyntheticSet:
    return condense(Random(arch="MLP", augment="none"), toy(), 2)


@pytest.fixture
def own(plain: SyntheticSet) -> SyntheticSet:
    return replace(plain, recipe=OWN)


def softened(made: SyntheticSet) -> SyntheticSet:
    return replace(made, labels=0.8 * F.one_hot(made.labels, 3).float() + 0.2 / 3)


def test_a_set_is_evaluated_by_its_own_recipe_by_default(plain: SyntheticSet, own: SyntheticSet) -> None:
    for protocol in (protocol_for(own), protocol_for(own, recipe="own")):
        assert protocol.recipes == {"MLP": OWN}
        assert protocol.source == "own"
        assert protocol.to_json()["recipes"]["MLP"] == {**OWN.to_json(), "source": "own"}
    published = Recipe(epochs=300, augment="none")
    for protocol in (protocol_for(own, recipe="published"), protocol_for(plain), protocol_for(plain, recipe="own")):
        assert protocol.recipes == {"MLP": published}
        assert protocol.to_json()["recipes"]["MLP"] == published.to_json()  # as older records have it


def test_single_options_change_any_recipe(own: SyntheticSet) -> None:
    changed = protocol_for(own, epochs=3, lr=0.1, batch=4, augment="flip")
    assert changed.recipes == {"MLP": replace(OWN, epochs=3, lr=0.1, batch=4, augment="flip")}
    late = replace(own, recipe=replace(OWN, schedule="step", full_rate=6))
    assert protocol_for(late).recipes["MLP"].first_phase == 6
    assert protocol_for(late, epochs=3).recipes["MLP"].first_phase == 2


def test_a_recipe_from_a_file_or_from_python(plain: SyntheticSet, tmp_path: Path) -> None:
    path = tmp_path / "frepo.json"
    path.write_text(json.dumps(OWN.to_json()))
    for recipe in (path, str(path)):
        protocol = protocol_for(plain, recipe=recipe)
        assert (protocol.recipes, protocol.source) == ({"MLP": OWN}, "frepo.json")
    assert (protocol_for(plain, recipe=OWN).recipes, protocol_for(plain, recipe=OWN).source) == ({"MLP": OWN}, "given")
    with pytest.raises(InputError, match="--recipe owm: there is no such file: use own, published"):
        protocol_for(plain, recipe="owm")
    with pytest.raises(InputError, match="--ema 2: must be at least 0 and below 1"):
        protocol_for(plain, recipe=replace(OWN, ema=2.0))
    with pytest.raises(InputError, match="--lr -1: must be above 0"):
        protocol_for(replace(plain, recipe=replace(OWN, lr=-1.0)))
    with pytest.raises(InputError, match="unknown augmentation 'blur'"):
        protocol_for(plain, recipe=replace(OWN, augment="blur"))


def test_a_changed_recipe_says_so(own: SyntheticSet, tmp_path: Path) -> None:
    path = tmp_path / "frepo.json"
    path.write_text(json.dumps(OWN.to_json()))
    for recipe, source in (("own", "own"), (path, "frepo.json"), (OWN, "given")):
        changes: list[dict[str, Any]] = [{"lr": 0.2}, {"epochs": 3}, {"batch": 3}, {"augment": "flip"}]
        for change in changes:
            assert protocol_for(own, recipe=recipe, **change).source == f"{source}, changed"
        assert protocol_for(own, recipe=recipe, lr=OWN.lr, augment="crop").source == source
        assert protocol_for(own, recipe=recipe).with_epochs(3).source == f"{source}, changed"
    assert protocol_for(own, recipe="published", lr=0.2).source == "published"  # as older records have it


@pytest.mark.parametrize("name", ["own", "published", "given", "own, changed"])
def test_a_file_does_not_pass_as_another_source(own: SyntheticSet, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(OWN.to_json()))
    assert protocol_for(own, recipe=tmp_path / name).source == f"file {name}"


def test_a_recipe_is_a_recipe_or_a_name(own: SyntheticSet) -> None:
    assert protocol_for(own, recipe=None).source == "own"
    for wrong in (3, {"epochs": 3}, Recipe):
        with pytest.raises(InputError, match="give a Recipe, the path of a JSON file of one, own or published"):
            protocol_for(own, recipe=wrong)  # pyright: ignore
    given = protocol_for(own, recipe=Recipe(epochs=np.int64(3), lr=np.float32(0.5)))  # pyright: ignore
    assert json.loads(json.dumps(given.to_json()))["recipes"]["MLP"]["epochs"] == 3


def test_a_loss_of_a_plug_in_is_looked_up_when_it_is_used(own: SyntheticSet, toy, tmp_path: Path) -> None:
    save(replace(own, recipe=replace(OWN, loss="mine")), tmp_path / "set.safetensors")
    made = load_set(tmp_path / "set.safetensors")
    assert made.recipe == replace(OWN, loss="mine")
    assert protocol_for(made, recipe="published").source == "published"
    with pytest.raises(InputError, match=r"^unknown loss 'mine': .*; or name the file that defines it with --plugin$"):
        protocol_for(made)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda labels: labels.int(), "labels have dtype int32, expected int64"),
        (lambda labels: labels[1:], r"6 images do not fit labels of shape \(5,\)"),
        (lambda labels: torch.zeros(6, 2), r"6 images do not fit labels of shape \(6, 2\): 3 numbers for each image"),
        (lambda labels: labels + 1, "labels go from 1 to 3"),
    ],
)
def test_labels_of_a_set_are_checked(plain: SyntheticSet, toy, labels, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(replace(plain, labels=labels(plain.labels)), toy(draw=1), **QUICK, epochs=1)


def test_scores_and_every_table_say_which_recipe(own: SyntheticSet, toy, tmp_path: Path) -> None:
    condense(Random(arch="MLP", augment="none"), toy(), 2, out=tmp_path / "run")
    save(own, tmp_path / "run" / "synthetic.safetensors")
    made = load_set(tmp_path / "run")
    assert made.recipe == OWN
    mine, published = (evaluate(made, toy(draw=1), recipe=r, **QUICK, epochs=2) for r in ("own", "published"))
    assert (mine.recipe_source("MLP"), published.recipe_source("MLP")) == ("own, changed", "published")
    assert mine.accuracy != published.accuracy
    for table in (score_table, cross_table):
        assert str(table({"a": mine}).caption).endswith("; recipe: own, changed")
        assert str(table({"a": mine, "b": published}).caption).endswith("; recipe: own, changed (a), published (b)")
        assert "recipe" not in str(table({"b": published}).caption)

    keep_scores(tmp_path / "run", {"random": published})
    write_report(tmp_path / "run", tmp_path / "before.html")
    page = (tmp_path / "before.html").read_text()
    assert "<dt>recipe</dt>" in page  # that of the set
    assert '<th scope="col">recipe</th>' not in page
    keep_scores(tmp_path / "run", {"random": mine})
    assert [one.recipe_source("MLP") for one in saved_scores(tmp_path / "run")] == ["published", "own, changed"]
    write_report(tmp_path / "run", tmp_path / "after.html")
    page = (tmp_path / "after.html").read_text()
    assert page.count('<th scope="col">recipe</th>') == 2  # in the summary and in the run's table
    assert page.count("<td>own, changed</td>") == 2

    export(made, "hf", tmp_path / "hf", scores=mine)
    assert "2 epochs, augmentation crop, recipe own, changed" in (tmp_path / "hf" / "README.md").read_text()
    export(made, "hf", tmp_path / "hf2", scores=published)
    assert "recipe" not in (tmp_path / "hf2" / "README.md").read_text().partition("## How")[0]


def test_scores_without_a_source_are_published(own: SyntheticSet, toy) -> None:
    scores = evaluate(own, toy(draw=1), recipe="published", **QUICK, epochs=1)
    assert "source" not in scores.to_json()["protocol"]["recipes"]["MLP"]
    assert Scores({}, {}, 1.0, {"recipes": {"MLP": {"epochs": 3, "augment": "none"}}}, {}).recipe_source("MLP") == (
        "published"
    )


@pytest.mark.parametrize("loss", ["ce", "kl", "mse"])
def test_soft_labels_are_learnt_and_tested_on_classes(plain: SyntheticSet, loss: str, toy) -> None:
    soft, test = softened(plain), toy(draw=1)
    recipe = Recipe(epochs=60, loss=loss, lr=0.001, optimiser="adam")
    scores = evaluate(soft, test, **QUICK, recipe=recipe)
    assert torch.tensor(scores.confusion["MLP"]).sum(1).tolist() == [80, 80, 80]
    assert scores.mean("MLP") > 0.6
    assert scores.accuracy != evaluate(plain, test, **QUICK, recipe=recipe, seed=1).accuracy


def test_the_published_recipe_takes_soft_labels(plain: SyntheticSet, toy) -> None:
    assert evaluate(softened(plain), toy(draw=1), **QUICK, epochs=60).mean("MLP") > 0.6


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
def test_the_command_takes_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("condense random --data digits --arch MLP --ipc 1 --out run".split()) == 0
    save(replace(load_set("run"), recipe=OWN), Path("run/synthetic.safetensors"))
    Path("short.json").write_text(json.dumps(replace(OWN, epochs=2, mix="cutmix", loss="ce").to_json()))
    capsys.readouterr()
    assert main("evaluate run --nets 1 --beside random whole --whole-epochs 1".split()) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "augmentation in training: crop; recipe: own (" in output
    assert "1 x 7" in output
    assert main("evaluate run --nets 1 --recipe short.json --batch 5".split()) == 0
    assert "recipe: short.json, changed" in " ".join(capsys.readouterr().out.split())
    assert main("evaluate run --nets 1 --recipe published --epochs 1".split()) == 0
    assert "recipe:" not in capsys.readouterr().out
    lines = [json.loads(line) for line in Path("run/scores.jsonl").read_text().splitlines()]
    recipes = [{name: score["protocol"]["recipes"]["MLP"] for name, score in line.items()} for line in lines]
    assert recipes[0]["random"] == recipes[0]["random real"] == {**OWN.to_json(), "source": "own"}
    assert recipes[0]["whole set"] == {**OWN.to_json(), "epochs": 1, "source": "own, changed"}
    assert (recipes[1]["random"]["mix"], recipes[1]["random"]["batch"]) == ("cutmix", 5)
    assert main("evaluate run --recipe nowhere.json".split()) == 2
    assert "--recipe nowhere.json: there is no such file" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning")
def test_each_recipe_has_baselines_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, (run, recipe) in enumerate({"a": replace(OWN, epochs=1), "b": replace(OWN, epochs=2), "c": None}.items()):
        assert main(f"condense random --data digits --arch MLP --ipc 1 --seed {seed} --out {run}".split()) == 0
        save(replace(load_set(run), recipe=recipe), Path(run, "synthetic.safetensors"))
    more = "--nets 1 --beside random whole --whole-epochs 1"
    assert main(f"evaluate a b --archs MLP {more} --out two.json".split()) == 0
    scores = json.loads(Path("two.json").read_text())
    kept = {run: json.loads(Path(run, "scores.jsonl").read_text()) for run in "ab"}
    for run, epochs in {"a": 1, "b": 2}.items():
        (name,) = (name for name in kept[run] if name.startswith("random real"))
        assert name in scores
        of_recipe = kept[run][name]["protocol"]["recipes"]["MLP"]
        assert of_recipe == {**OWN.to_json(), "epochs": epochs, "source": "own"}
    assert sum(name.startswith("random real") for name in scores) == 2
    assert main(f"evaluate a c --epochs 1 {more} --out two.json".split()) == 0
    names = [name for name in json.loads(Path("two.json").read_text()) if "r" in name[0]]
    assert [name for name in names if "recipe" in name] == [
        "random real, recipe own",
        "random real, recipe published",
    ]


@dataclass(frozen=True, kw_only=True)
class WithRecipe(Random):  # pyright: ignore[reportGeneralTypeIssues]
    """Random images that are to be learnt by a recipe of their own."""

    ema: float = 0.9

    def recipe(self, spec: Spec, ipc: int) -> Recipe:
        return replace(OWN, epochs=spec.classes * ipc, ema=self.ema)


def test_the_recipe_of_a_method_is_stored_with_its_set(toy, tmp_path: Path) -> None:
    condense(WithRecipe(arch="MLP"), toy(), 2, out=tmp_path / "run")
    protocol = protocol_for(load_set(tmp_path / "run"))
    assert protocol.recipes == {"MLP": replace(OWN, epochs=6)}
    with pytest.raises(InputError, match="--ema 1: must be at least 0 and below 1"):
        condense(WithRecipe(arch="MLP", ema=1.0), toy(), 2, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"epochs": 3}, r"recipe\(\) of Other returns \{'epochs': 3\}: return a Recipe, or None"),
        (Recipe(epochs=3, augment="blur"), "unknown augmentation 'blur'"),
        (Recipe(epochs=3, loss="mine"), "unknown loss 'mine'"),
    ],
)
def test_the_recipe_of_a_method_is_checked_before_the_run(toy, tmp_path: Path, found, message: str) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Other(Random):  # pyright: ignore[reportGeneralTypeIssues]
        def recipe(self, spec: Spec, ipc: int) -> Recipe:
            return found

    with pytest.raises(InputError, match=message):
        condense(Other(arch="MLP"), toy(), 2, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_experiments_train_by_the_published_recipe(own: SyntheticSet) -> None:
    assert plan_experiment("dc/mnist/1").protocol(own, 0).source == "published"
