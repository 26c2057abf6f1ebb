"""Recipes, their JSON, and the learning rates of their schedules."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from datacondense import DamagedFile, InputError, Recipe
from datacondense.training.recipe import read_recipe
from datacondense.training.schedule import Schedule, learning_rate

FREPO = Recipe(
    epochs=1000, optimiser="adam", lr=3e-4, weight_decay=3e-4, schedule="cosine", warm_up=500, loss="mse", ema=0.995
)


def test_the_published_recipe_is_recorded_as_before() -> None:
    before = {"epochs": 300, "augment": "none", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "batch": 256}
    assert Recipe(epochs=300).to_json() == before
    assert Recipe(epochs=301, full_rate=152).to_json() == {**before, "epochs": 301, "full_rate": 152}


@pytest.mark.parametrize(
    "recipe", [Recipe(epochs=3), FREPO, Recipe(epochs=2, mix="cutmix", mix_beta=2.0, loss="kl", temperature=4.0)]
)
def test_a_recipe_survives_its_json(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert recipe.to_json().keys() >= {"epochs", "augment", "lr", "momentum", "weight_decay", "batch"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"epochs": 3, "warmup": 2}, "a recipe has no field 'warmup': use some of epochs, augment, lr"),
        ({}, "field epochs is missing"),
        ({"epochs": "many"}, "field epochs is str, expected int"),
        ({"epochs": 0}, "field epochs is not `?int`? >= 1"),
        ({"epochs": 3, "lr": -1}, "field lr is not `?float`? > 0"),
        ({"epochs": 3, "ema": 1}, "field ema is not `?float`? < 1"),
        ({"epochs": 3, "optimiser": "lion"}, "optimiser"),
        ({"epochs": 3, "schedule": "cyclic"}, "schedule"),
        ({"epochs": 3, "loss": "a\nb"}, "cannot be the name of a loss"),
        ({"epochs": 3, "temperature": 0}, "temperature"),
        ({"epochs": 3, "mix": "cutmix", "loss": "mse"}, "the loss mse does not fit --mix cutmix"),
        ([], "the recipe is damaged"),
        (None, "the recipe is damaged"),
    ],
)
def test_a_damaged_recipe_names_its_field(value: Any, message: str) -> None:
    with pytest.raises(DamagedFile, match=message):
        Recipe.from_json(value)


@pytest.mark.parametrize(
    "change", [{"lr": math.nan}, {"weight_decay": -1.0}, {"warm_up": -1}, {"mix_probability": 2.0}, {"momentum": 1.0}]
)
def test_a_recipe_checks_its_ranges(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(change)).replace('_', '-')} "):
        Recipe(epochs=1, **change).check()


def test_the_loss_of_a_plug_in_is_looked_up_by_the_check_alone() -> None:
    recipe = Recipe.from_json({"epochs": 3, "loss": "hinge"})
    with pytest.raises(InputError, match=r"unknown loss 'hinge': .*; or name the file that defines it with --plugin"):
        recipe.check()


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    with pytest.raises(InputError, match=r"recipe\.json: there is no such file: use own, published, or a JSON file"):
        read_recipe(path)
    path.write_text(json.dumps(FREPO.to_json()))
    assert read_recipe(path) == FREPO
    path.write_text('{"epochs": 1, "lrr": 2}')
    with pytest.raises(InputError, match=r"recipe\.json.*no field 'lrr'"):
        read_recipe(path)
    path.write_text("epochs: 3")
    with pytest.raises(InputError, match=r"recipe\.json is damaged: not JSON"):
        read_recipe(path)


def rates(schedule: Schedule, *, steps: int = 100, full: int = 51, warm_up: int = 0) -> list[float]:
    return [learning_rate(0.5, schedule, done, steps=steps, full=full, warm_up=warm_up) for done in range(steps)]


def test_step_divides_the_rate_by_ten_once() -> None:
    assert rates("step") == [0.5] * 51 + [0.05] * 49


def test_cosine_falls_from_the_whole_rate_to_zero() -> None:
    found = rates("cosine")
    assert found == [pytest.approx(0.5 * (1 + math.cos(math.pi * t / 100)) / 2) for t in range(100)]
    assert found[0] == 0.5
    assert learning_rate(0.5, "cosine", 100, steps=100, full=1, warm_up=0) == 0


@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
def test_the_warm_up_is_linear_and_reaches_the_whole_rate(schedule: Schedule) -> None:
    found = rates(schedule, warm_up=20)
    assert found[:20] == [pytest.approx(0.5 * (t + 1) / 20) for t in range(20)]
    assert found[20] == 0.5
    assert all(map(math.isfinite, rates(schedule, warm_up=1000)))  # longer than the training


def test_constant_stays() -> None:
    assert set(rates("constant")) == {0.5}
