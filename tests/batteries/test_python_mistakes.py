"""What a user of the Python interface is told of a plausible mistake, before anything is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import datacondense as dc
from datacondense.evaluation.protocol import protocol_for
from datacondense.experiments import experiment_plan, reproduction
from datacondense.experiments.continual import learn_continually
from datacondense.experiments.scenario import Scenario
from datacondense.methods import DistributionMatching, Random
from datacondense.report import write_report

QUICK: dict[str, Any] = {"arch": "MLP", "iterations": 1, "batch_real": 4}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": DistributionMatching(**{**QUICK, "lr": np.ones(1)})}, "must be a number"),
        ({"ipc": np.ones(1)}, "must be a whole number"),
        ({"seed": 1.5}, "--seed 1.5: must be a whole number"),
        ({"source": "digits"}, "provenance.source is str, expected object"),
        ({"source": {"source": "digits", "progress": None}}, "provenance.source.progress is not known to this version"),
        ({"method": "dm"}, "'dm' is not a method: give one, such as"),
        ({"start": "runs/a"}, "'runs/a' is not a set: give datacondense.load_set"),
        ({"time_budget": float("nan")}, "--time-budget nan: must be above 0"),
        ({"precision": "fp16"}, "--precision fp16: use one of auto, fp32, tf32, bf16"),
        ({"compile": True}, "--compile True: use one of auto, on, off"),
        (
            {"compute": dc.Compute(device="cpu"), "device": "cpu"},
            "compute and device exclude each other: set device in",
        ),
        ({"compute": dc.Compute(classes_at_once=0)}, "--classes-at-once 0: must be at least 1"),
        ({"observers": [print]}, "is not an observer: derive its class from datacondense.Observer"),
        ({"compute": "cpu"}, "compute='cpu' is not a Compute: give one, such as"),
    ],
    ids=str,
)
def test_what_no_set_can_be_made_with_is_refused_before_a_run_is_replaced(change, said: str, toy, tmp_path) -> None:
    kept = dc.condense(Random(arch="MLP"), toy(), 1, out=tmp_path)
    arguments = {"method": DistributionMatching(**QUICK), "real": toy(), "ipc": 1, "out": tmp_path, "overwrite": True}
    with pytest.raises(dc.InputError, match=said):
        dc.condense(**{**arguments, **change})
    assert dc.load_set(tmp_path).fingerprint() == kept.fingerprint()


def test_sets_networks_and_runs_are_asked_for_by_what_they_are(toy, tmp_path: Path) -> None:
    made = dc.condense(Random(arch="MLP"), toy(), 1, out=tmp_path / "run")
    scores = dc.evaluate(made, toy(draw=1), archs="MLP", nets=1, epochs=1)
    assert list(scores.accuracy) == ["MLP"]
    assert dc.evaluate(tmp_path / "run", toy(draw=1), nets=1, epochs=1).accuracy == scores.accuracy
    with pytest.raises(dc.InputError, match="unknown data 'runs/a': choose from digits"):
        dc.evaluate("runs/a", toy(draw=1))
    with pytest.raises(dc.InputError, match="is not a run directory"):
        dc.keep_scores(tmp_path, {"random": scores})
    dc.keep_scores(tmp_path / "run", {"random": scores})
    assert write_report(str(tmp_path / "run"), tmp_path / "report.html") == [tmp_path / "report.html"]
    assert "This set has not been evaluated" not in (tmp_path / "report.html").read_text()
    with pytest.raises(dc.InputError, match=r"--image-size 32.5: must be a whole number"):
        dc.load(f"folder:{tmp_path}", image_size=32.5)  # pyright: ignore[reportArgumentType]


def test_a_keyword_that_does_not_exist_is_named(toy, tmp_path: Path) -> None:
    wrong: Any = {"devise": "cpu"}
    train = toy()
    plan = experiment_plan.plan_experiment("dm/mnist/1")
    calls = [
        lambda: dc.condense(Random(), train, 1, **wrong),
        lambda: dc.estimate(Random(), train, 1, **wrong),
        lambda: dc.evaluate(train, train, **wrong),
        lambda: dc.estimate_evaluation(train, train, **wrong),
        lambda: protocol_for(train, **wrong),
        lambda: reproduction.reproduce(plan, train, train, **wrong),
        lambda: learn_continually(Random(), train, train, Scenario(), tmp_path, **wrong),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"\(\) got an unexpected keyword argument 'devise'"):
            call()


def test_a_source_may_be_the_object_or_its_record(toy) -> None:
    source = dc.DataSource("digits", hold_out=0.1, validation=True)
    record = {"source": "digits", "hold_out": 0.1}
    for one in (source, record):
        assert dc.condense(Random(arch="MLP"), toy(), 1, source=one).provenance.source == record


def test_an_iterator_of_observers_is_notified(toy) -> None:
    class Watch(dc.Observer):
        seen = 0

        def progress(self, progress: dc.RunProgress) -> None:
            self.seen += 1

    watch = Watch()
    method = DistributionMatching(arch="MLP", iterations=2, batch_real=4, augment="none")
    dc.condense(method, toy(), 1, observers=iter([watch]))  # pyright: ignore[reportArgumentType]
    assert watch.seen == 2


def test_a_keyword_of_data_that_does_not_exist_names_the_function(toy) -> None:
    wrong: Any = {"foo": 1}
    with pytest.raises(TypeError, match=r"load\(\) got an unexpected keyword argument 'foo'"):
        dc.load("digits", **wrong)
    with pytest.raises(TypeError, match=r"image_set\(\) got an unexpected keyword argument 'foo'"):
        dc.image_set(np.zeros((2, 4, 4), np.uint8), [0, 1], name="x", **wrong)
