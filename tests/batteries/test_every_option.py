"""Matching methods under the options of batches, averages and clamping."""

from dataclasses import replace
from pathlib import Path

import pytest
from observing import StopAfter, same
from toy_methods import TOY

from datacondense import condense
from datacondense.methods import Matching

OPTIONS = {
    "stratified": {"batches": "stratified"},
    "average": {"average": 0.9},
    "clamp": {"clamp": True, "init": "noise"},
    "dream": {"batches": "dream"},
}
each_option = pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in ("dsa", "dm")  # dc is dsa with other defaults
        for option in OPTIONS
        if option != "dream" or name == "dsa"
    ],
)


def with_option(name: str, option: str) -> Matching:
    method = TOY[name]
    assert isinstance(method, Matching)
    return replace(method, iterations=4, **OPTIONS[option], **({"epochs": 0} if name == "dsa" else {}))


@each_option
def test_interrupted_and_resumed_equals_uninterrupted(name: str, option: str, toy, tmp_path: Path) -> None:
    method = with_option(name, option)
    whole = condense(method, toy(), ipc=2, out=tmp_path / "whole")
    condense(method, toy(), ipc=2, out=tmp_path / "parts", observers=[StopAfter(2)])
    assert same(whole, condense(method, toy(), ipc=2, out=tmp_path / "parts", resume=True))
    usual = {name: value for name, value in vars(TOY[name]).items() if name in OPTIONS[option] and name != "init"}
    assert not same(whole, condense(replace(method, **usual), toy(), ipc=2))


@each_option
@pytest.mark.filterwarnings("ignore:a batch of 16 images")
def test_small_classes_and_colour(name: str, option: str, toy) -> None:
    made = condense(replace(with_option(name, option), iterations=2), toy(sizes=(3, 20), channels=3), ipc=3)
    assert made.counts.tolist() == [3, 3]
    assert made.images.isfinite().all()
