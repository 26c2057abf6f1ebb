"""Published experiments end to end, on an experiment small enough to be run as published."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datacondense import InputError, Stopped, condense, load_set
from datacondense.data.registry import DATASETS
from datacondense.data.source import load
from datacondense.evaluation.protocol import protocol_for
from datacondense.experiments.experiment_plan import plan_experiment
from datacondense.experiments.preset import Preset
from datacondense.experiments.presets import PRESETS
from datacondense.experiments.reproduction import reproduce
from datacondense.experiments.sweep import newest_record
from datacondense.experiments.teacher_labels import TeacherLabels
from datacondense.methods import DC, DistributionMatching, Random
from datacondense.run.directory import EVALUATION
from datacondense.run.observers import Observer, RunProgress
from datacondense.training.recipe import Recipe
from datacondense.training.trajectories import TrajectoryRecipe

METHOD = DC(arch="MLP", lr=0.01, iterations=3, batch_real=8, init="real")
SMALL = Preset(
    title="Small", data="toy", ipc=1, method=METHOD, sets=2, nets=2, published={"MLP": (60.0, 1.0)}, source="T0"
)


class Watch(Observer):
    """Records all messages."""

    def __init__(self) -> None:
        self.iterations = 0
        self.epochs = 0
        self.messages: list[str] = []

    def progress(self, progress: RunProgress) -> None:
        self.iterations += 1

    def message(self, text: str) -> None:
        self.messages.append(text)

    def on_epoch(self, done: float, total: float) -> None:
        assert 1 <= done <= total
        self.epochs += 1


@pytest.fixture(autouse=True)
def small(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PRESETS, "small", SMALL)
    monkeypatch.setitem(DATASETS, "toy", lambda *_: (toy(), toy(draw=1)))
    monkeypatch.setitem(DATASETS, "other", lambda *_: (toy(side=12), toy(side=12, draw=1)))


def run(watch: Watch | None = None, **changes: Any) -> dict[str, Any]:
    watch = watch or Watch()
    planned = plan_experiment("small", **changes)
    return reproduce(planned, *load(planned.data), compile="off", observers=[watch], on_epoch=watch.on_epoch)


def records(name: str = "small") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(f"results/{name}.jsonl").read_text().splitlines()]


def test_the_record_says_all_that_was_done() -> None:
    watch = Watch()
    record = run(watch)
    assert (watch.iterations, watch.epochs) == (2 * 3, 2 * 2 * 301)
    assert [message for message in watch.messages if "of 2" in message] == ["set 1 of 2", "set 2 of 2"]
    assert records() == [record]
    score = record["scores"]["MLP"]
    assert score["n"] == len(score["values"]) == 4
    assert len(set(score["values"])) > 1
    assert score["mean"] == pytest.approx(sum(score["values"]) / 4, abs=0.01)
    assert score["mean"] > 50  # percent, of three classes
    assert record["published"] == {"MLP": [60.0, 1.0]}
    assert record["source"] == "T0"
    expected = {"preset": "small", "title": "Small", "changed": False, "scale": 1.0, "data": "toy", "ipc": 1}
    expected |= {"method": "dc", "settings": METHOD.settings(), "pool": "S", "seeds": [0, 1], "nets": 2}
    assert {key: record[key] for key in expected} == expected
    assert record["recipes"]["MLP"]["epochs"] == 301
    assert {part: len(seconds) for part, seconds in record["seconds"].items()} == {"condense": 2, "evaluate": 2}
    assert record["data_sha256"]
    assert record["machine"]
    assert {"datacondense", "torch", "python"} <= set(record["versions"])


def test_what_is_done_is_not_done_again() -> None:
    first = run()
    files = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.is_file()}
    watch = Watch()
    assert run(watch) == first
    assert (watch.iterations, watch.epochs) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.is_file()} == files
    assert records() == [first]


def test_more_networks_are_trained_on_the_same_sets() -> None:
    first, watch = run(nets=1), Watch()
    more = run(watch, nets=2)
    assert (watch.iterations, watch.epochs) == (0, 2 * 2 * 301)
    assert records() == [first, more]
    assert more["scores"]["MLP"]["values"][::2] == first["scores"]["MLP"]["values"]
    assert not more["changed"]


def test_more_sets_go_beside_those_that_are_there() -> None:
    first, watch = run(sets=1), Watch()
    more = run(watch)
    assert (watch.iterations, watch.epochs) == (3, 2 * 301)
    assert more["scores"]["MLP"]["values"][:2] == first["scores"]["MLP"]["values"]
    assert [record["seeds"] for record in records()] == [[0], [0, 1]]


def test_each_set_has_networks_and_images_of_its_own() -> None:
    protocols = [
        json.loads(Path(f"runs/reproduce/small/seed{seed}", EVALUATION).read_text())["asked"]["protocol"]
        for seed in run()["seeds"]
    ]
    assert [protocol["seed"] for protocol in protocols] == [0, 1]
    sets = [Path(f"runs/reproduce/small/seed{seed}/synthetic.safetensors").read_bytes() for seed in (0, 1)]
    assert sets[0] != sets[1]


def test_stopped_while_networks_train_it_goes_on_after_the_set_that_is_done() -> None:
    class Stop(Watch):
        def on_epoch(self, done: float, total: float) -> None:
            super().on_epoch(done, total)
            if self.epochs == 2 * 301 + 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Stop())
    assert not Path("results").exists()
    watch = Watch()
    record = run(watch)
    assert (watch.iterations, watch.epochs) == (0, 2 * 301)
    assert record["scores"]["MLP"]["n"] == 4


def test_stopped_while_condensing_it_says_so_and_goes_on() -> None:
    class Stop(Watch):
        def progress(self, progress: RunProgress) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped, match=r"stopped after iteration 1 in .*seed0: the same command resumes") as stopped:
        run(Stop())
    assert stopped.value.signal == signal.SIGINT
    watch = Watch()
    run(watch)
    assert watch.iterations == 2 + 3


def test_stopped_in_the_last_iteration_it_stops_before_networks_train() -> None:
    class Stop(Watch):
        def progress(self, progress: RunProgress) -> None:
            super().progress(progress)
            if self.iterations == METHOD.iterations:
                os.kill(os.getpid(), signal.SIGINT)

    watch = Stop()
    with pytest.raises(Stopped, match=r"stopped when .*seed0 was complete: the same command goes on") as stopped:
        run(watch)
    assert (stopped.value.signal, watch.iterations, watch.epochs) == (signal.SIGINT, METHOD.iterations, 0)
    assert run()["scores"]["MLP"]["n"] == 4


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"scale": 0.5}, "small@scale0.5"),
        ({"data": "other"}, "small@other"),
        ({"ipc": 2}, "small@ipc2"),
        ({"iterations": 2}, "small@iterations2"),
        ({"hold_out": 0.5}, "small@hold_out0.5"),
        ({"scale": 0.01, "data": "other", "ipc": 2, "nets": 2}, "small@other@ipc2@scale0.01"),
    ],
)
def test_a_changed_experiment_is_kept_apart_and_has_no_published_number(changes: dict[str, Any], name: str) -> None:
    record = run(**changes, sets=1)
    assert record["changed"]
    assert (record["published"], record["source"]) == ({}, "")
    assert records(name) == [record]
    assert Path("runs/reproduce", name, "seed0", EVALUATION).exists()
    assert [path.name for path in Path("results").iterdir()] == [f"{name}.jsonl"]


def test_epochs_are_counted_as_the_authors_code_counts_them(toy) -> None:
    """Its E epochs are 0 to E, and its learning rate falls after number E // 2 + 1 of these."""
    made = condense(Random(arch="MLP", augment="none"), toy(), 1)
    recipe = plan_experiment("dc/mnist/1").protocol(made, 0).recipes["MLP"]
    authors = [0.01 if epoch <= 300 // 2 + 1 else 0.001 for epoch in range(300 + 1)]
    assert recipe.epochs == len(authors) == 301
    assert recipe.first_phase == authors.count(0.01) == 152
    assert protocol_for(made).recipes["MLP"].to_json() == {
        "epochs": 300,
        "augment": "none",
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "batch": 256,
    }


def test_scale_scales_iterations_epochs_sets_and_networks() -> None:
    small = plan_experiment("dc/mnist/1", scale=0.1)
    assert (small.preset.method.iterations, small.preset.sets, small.preset.nets) == (100, 1, 2)  # of 1000, 5, 20
    assert small.preset.method.settings()["batch_real"] == 256
    given = plan_experiment("dc/mnist/1", scale=0.1, sets=3, nets=7)
    assert (given.preset.sets, given.preset.nets) == (3, 7)
    assert run(scale=0.01)["recipes"]["MLP"]["epochs"] == 3
    as_asked = plan_experiment("dc/mnist/1", scale=0.1, iterations=1000)
    assert (as_asked.preset.method.iterations, as_asked.variant) == (1000, "dc/mnist/1@iterations1000@scale0.1")
    assert not plan_experiment("dc/mnist/1", iterations=1000).changed


def test_a_damaged_evaluation_is_made_again_and_overwriting_makes_all_again() -> None:
    first = run(sets=1)
    path = Path("runs/reproduce/small/seed0", EVALUATION)
    kept = json.loads(path.read_text())
    for damage in ("{", "[]", json.dumps({**kept, "scores": {}})):
        path.write_text(damage)
        assert run(sets=1)["scores"] == first["scores"]
    watch = Watch()
    again = reproduce(
        plan_experiment("small", sets=1),
        *load("toy"),
        compile="off",
        overwrite=True,
        observers=[watch],
        on_epoch=watch.on_epoch,
    )
    assert (watch.iterations, watch.epochs) == (3, 2 * 301)
    assert again["scores"] == first["scores"]


def test_as_published_nothing_is_changed() -> None:
    as_published = plan_experiment("dm/cifar10/10")
    assert as_published.preset == PRESETS["dm/cifar10/10"]
    assert not as_published.changed
    assert not plan_experiment("dm/cifar10/10", sets=1, nets=1, data="cifar10", ipc=10).changed
    assert as_published.variant == "dm/cifar10/10"
    assert plan_experiment("dm/cifar10/10", data="arrays:my/set.npz").variant == "dm/cifar10/10@arrays_my_set.npz"


def test_numbers_of_numpy_serve_as_others() -> None:
    whole: dict[str, Any] = {"sets": np.int64(1), "nets": np.int64(1), "ipc": np.int32(2), "iterations": np.int64(2)}
    numbers = {**whole, "scale": np.float32(0.5)}
    planned = plan_experiment("small", hold_out=0.25, **numbers)
    assert planned == plan_experiment("small", scale=0.5, hold_out=0.25, sets=1, nets=1, ipc=2, iterations=2)
    record = run(**numbers)
    assert records("small@ipc2@iterations2@scale0.5") == [record]


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: plan_experiment("dc/mnist/2"), "unknown preset 'dc/mnist/2': did you mean 'dc/mnist/"),
        (
            lambda: plan_experiment("nothing at all"),
            "unknown preset 'nothing at all': `datacondense list presets` lists them",
        ),
        (lambda: plan_experiment("small", scale=0), "--scale 0: must be above 0 and at most 1"),
        (lambda: plan_experiment("small", scale=1.5), "--scale 1.5: must be above 0 and at most 1"),
        (lambda: plan_experiment("small", scale=float("nan")), "--scale nan: must be above 0"),
        (lambda: plan_experiment("small", sets=0), "--seeds 0: must be at least 1"),
        (lambda: plan_experiment("small", nets=-1), "--nets -1: must be at least 1"),
        (lambda: run(ipc=0), "--ipc 0: must be at least 1"),
        (lambda: run(data="absent"), "unknown data 'absent'"),
    ],
)
def test_what_cannot_be_run_is_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        refused()
    assert message in str(error.value)
    assert not Path("results").exists()
    assert not Path("runs").exists()


def test_a_set_may_start_from_that_of_another_method(monkeypatch: pytest.MonkeyPatch) -> None:
    first = DistributionMatching(arch="MLP", iterations=4, batch_real=8)
    monkeypatch.setitem(PRESETS, "small", replace(SMALL, first=first, sets=1))
    watch = Watch()
    record = run(watch)
    assert watch.iterations == 4 + 3
    assert record["first"] == {"method": "dm", **first.settings()}
    before, after = (load_set(f"runs/reproduce/small/seed0{stage}") for stage in ("/first", ""))
    assert after.provenance.start["sha256"] == before.fingerprint()
    seconds = sum(one.provenance.wall_seconds or 0 for one in (before, after))
    assert record["seconds"]["condense"] == [pytest.approx(seconds)]
    again = Watch()
    assert run(again) == record
    assert again.iterations == 0
    assert plan_experiment("small", scale=0.5).preset.first == replace(
        first, iterations=3
    )  # 2 of 3 iterations, as of the last


def test_a_record_counts_as_done_only_with_the_same_first_method(monkeypatch: pytest.MonkeyPatch) -> None:
    run(sets=1)
    asked = {"reading": {}, "precision": "auto"}
    assert newest_record(plan_experiment("small", sets=1), Path("results"), asked)
    monkeypatch.setitem(PRESETS, "small", replace(SMALL, first=DistributionMatching(arch="MLP")))
    assert not newest_record(plan_experiment("small", sets=1), Path("results"), asked)


@pytest.mark.parametrize("rate", [None, TrajectoryRecipe.lr])
def test_a_teacher_labels_each_set_once(rate: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = TeacherLabels(training_steps=6, training_lr=rate, temperature=2.0)
    recipe = Recipe(epochs=3, lr=0.02, schedule="cosine")
    preset = replace(SMALL, method=Random(arch="MLP"), labels=labels, recipe=recipe, sets=1, nets=1)
    monkeypatch.setitem(PRESETS, "small", preset)
    record = run()
    assert record["labels"] == labels.settings()
    assert record["recipes"]["MLP"]["schedule"] == "cosine"
    images, made = (load_set(f"runs/reproduce/small/seed0{place}") for place in ("/images", ""))
    assert torch.equal(images.images, made.images)
    assert (images.soft, made.soft, made.recipe) == (False, True, recipe)
    assert made.provenance.labels["steps"] == 6
    assert record["seconds"]["condense"] == [made.seconds]
    written = Path("runs/reproduce/small/seed0/synthetic.safetensors").stat().st_mtime_ns
    more = run(nets=2)
    assert more["sets_sha256"] == record["sets_sha256"]
    assert Path("runs/reproduce/small/seed0/synthetic.safetensors").stat().st_mtime_ns == written
    plan = plan_experiment("small", nets=2)
    asked = {"reading": {}, "precision": "auto"}
    assert newest_record(plan, Path("results"), asked) == more
    assert plan_experiment("small", scale=0.5).preset.labels == replace(labels, training_steps=3)
    with pytest.raises(InputError, match="--iterations 5: random of small makes none: leave it out"):
        plan_experiment("small", iterations=5)
    monkeypatch.setitem(PRESETS, "small", replace(preset, labels=replace(labels, temperature=1.0)))
    assert newest_record(plan_experiment("small", nets=2), Path("results"), asked) is None
    with pytest.raises(InputError, match="holds a run: replace it with --overwrite"):
        run()
