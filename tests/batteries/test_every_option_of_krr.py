"""Kernel ridge regression under every value of its options: the same bits again, resumed, and class by class."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from observing import Losses, StopAfter, same
from toy_methods import toy_method

from datacondense import condense
from datacondense.methods import KernelRegression
from datacondense.methods.kernel_regression import Source
from datacondense.methods.learned_labels import LabelForm

TRAINED: dict[str, Any] = {"training_steps": 6}
OPTIONS: dict[str, dict[str, Any]] = {
    "frepo": {"loss": "mse", "label_form": "values", "ridge": 1e-6, "lifetime": 2},
    "hard": {"label_form": "hard", "networks": "fresh"},
    "trained": {**TRAINED, "networks": "trained", "form": "tiles"},
    "blended": {**TRAINED, "networks": "blended", "margin": 0.0, "average": 0.9, "match": 0.1},
    "frozen": {**TRAINED, "networks": "frozen", "loss": "mse"},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def method(options: dict[str, Any], **more: Any) -> KernelRegression:
    """Return the toy method with options."""
    made = toy_method("krr", **{"iterations": 3, "batch_real": 8, **options, **more})
    assert isinstance(made, KernelRegression)
    return made


def test_the_table_above_and_the_default_are_complete() -> None:
    values = [method(options).settings() for options in ({}, *OPTIONS.values())]
    assert {one["networks"] for one in values} == set(get_args(Source))
    assert {one["label_form"] for one in values} == set(get_args(LabelForm))
    assert {one["loss"] for one in values} == {"ce", "mse"}


@every_option
def test_interrupted_and_resumed_equals_uninterrupted(options: dict[str, Any], toy, tmp_path: Path) -> None:
    losses = Losses()
    whole = condense(method(options), toy(), ipc=1, out=tmp_path / "whole", observers=[losses])
    assert len(losses.values) == 3
    condense(method(options), toy(), ipc=1, out=tmp_path / "parts", observers=[StopAfter(2)])
    again = condense(method(options), toy(), ipc=1, out=tmp_path / "parts", resume=True)
    assert again.provenance.iterations_done == 3
    assert same(whole, again)
    assert torch.equal(whole.labels, again.labels)
    assert whole.soft == (options.get("label_form") != "hard")
    assert (whole.recipe is not None) == (options.get("label_form") == "values")


@every_option
def test_two_uneven_classes_in_colour_class_by_class(options: dict[str, Any], toy) -> None:
    """All classes at once and one after the other give the same images and labels, up to rounding."""
    real = toy(sizes=(9, 30), channels=3)
    results = [
        condense(method(options, iterations=1, adam=False, lr=0.01, ridge=0.1), real, ipc=2, classes_at_once=number)
        for number in (2, 1)
    ]
    assert torch.isfinite(results[0].images).all()
    torch.testing.assert_close(results[0].images, results[1].images, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(results[0].labels, results[1].labels, rtol=1e-3, atol=1e-4)
