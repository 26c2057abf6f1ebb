"""Distribution matching under every value of its options: the same bits again, resumed, and from every class count."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from observing import Losses, StopAfter, same
from toy_methods import TOY

from datacondense import condense
from datacondense.methods import DistributionMatching
from datacondense.methods.feature_distances import FeatureDistance, Features

TRAINED: dict[str, Any] = {"networks": "trained", "training_steps": 6}
CF: dict[str, Any] = {"distance": "cf", "frequencies": 16}
OPTIONS: dict[str, dict[str, Any]] = {
    "relative": {"relative": True},
    "mmd": {"distance": "mmd"},
    "cf": {**CF},
    "sampler": {**CF, "sampler": True, "arch": "ConvNetD3"},
    "attention": {"features": "attention", "arch": "ConvNetD2"},
    "regress": {"regress": 2.0},
    "regress and classify": {**TRAINED, "regress": 2.0, "classify": 0.5, "distance": "mmd"},
    "classify": {**TRAINED, "classify": 0.5},
    "classify ahead by loss": {**TRAINED, "classify": 0.5, "classify_by": "loss", "ahead": 9},
    "tgdd": {**TRAINED, "classify": 2.5, "classify_by": "loss", "form": "tiles", "ahead": 1},
    "m3d": {"distance": "mmd", "form": "tiles", "keep": 2},
    "ncfm": {**TRAINED, "networks": "blended", **CF, "classify": 1.0, "adam": True},
    "ncfm sampler": {**CF, **TRAINED, "networks": "blended", "sampler": True, "arch": "ConvNetD3"},
    "idm": {"networks": "queue", "queue_steps": 1, "queue_every": 1, "classify": 0.5, "classify_by": "loss"},
    "datadam": {**TRAINED, "features": "attention", "arch": "ConvNetD2", "classify": 0.5, "classify_by": "loss"},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def method(options: dict[str, Any], **more: Any) -> DistributionMatching:
    """Return the toy method with options."""
    return DistributionMatching(**{**TOY["dm"].settings(), "iterations": 3, "batch_real": 8, **options, **more})


def test_the_table_above_is_complete() -> None:
    values = [method(options).settings() for options in OPTIONS.values()]
    for field, choices in (("distance", get_args(FeatureDistance)), ("features", get_args(Features))):
        assert {one[field] for one in values} == set(choices)
    assert {one["classify_by"] for one in values if one["classify"]} == {"gradient", "loss"}
    for field in ("relative", "sampler"):
        assert {one[field] for one in values} == {False, True}


@every_option
def test_interrupted_and_resumed_equals_uninterrupted_and_differs_from_the_default(
    options: dict[str, Any], toy, tmp_path: Path
) -> None:
    losses = Losses()
    whole = condense(method(options), toy(), ipc=1, out=tmp_path / "whole", observers=[losses])
    assert len(losses.values) == 3
    assert all(0 < loss < 1e4 for loss in losses.values)
    condense(method(options), toy(), ipc=1, out=tmp_path / "parts", observers=[StopAfter(2)])
    again = condense(method(options), toy(), ipc=1, out=tmp_path / "parts", resume=True)
    assert again.provenance.iterations_done == 3
    assert same(whole, again)
    default = method({name: options[name] for name in ("form", "arch", "adam") if name in options})
    assert not same(whole, condense(default, toy(), ipc=1))


@every_option
def test_two_uneven_classes_in_colour_class_by_class(options: dict[str, Any], toy) -> None:
    real = toy(sizes=(9, 30), channels=3)
    results = [
        condense(method(options, iterations=1, adam=False, lr=0.01), real, ipc=2, classes_at_once=number)
        for number in (2, 1)
    ]
    assert torch.isfinite(results[0].images).all()
    torch.testing.assert_close(results[0].images, results[1].images, rtol=1e-3, atol=1e-4)
