"""LRS and ARS from trainings whose accuracies are known, and once from networks."""

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from datacondense import InputError, Random, Recipe, Scores, SyntheticSet, condense, label_robust_score, rank
from datacondense.evaluation.evaluator import Task
from datacondense.evaluation.ranking import plan_ranking
from datacondense.evaluation.scores import RANDOM, SET


def made(toy) -> SyntheticSet:
    hard = condense(Random(arch="MLP"), toy(), ipc=2, seed=5)
    recipe = Recipe(epochs=3, augment="crop", lr=0.02)
    return replace(hard, images=hard.images + 0.5, labels=F.one_hot(hard.labels, 3).float(), recipe=recipe)


def test_test_images_choose_nothing_and_random_images_have_their_best_rate(toy) -> None:
    synthetic, train, test = made(toy), toy(), toy(draw=1)
    plan = plan_ranking(synthetic, train, test, nets=3, whole_epochs=7, search_nets=2)
    tasks: list[Task] = []

    def evaluate(task: Task) -> Scores:
        """The accuracy of random images is highest at the rate 0.05, and without augmentation at 0.001."""
        tasks.append(task)
        (recipe,) = task.protocol.recipes.values()
        best = 0.001 if recipe.augment == "none" else 0.05
        accuracy = 0.9 if len(task.examples) == 120 else 0.6 - abs(recipe.lr - best)
        return Scores({"MLP": [accuracy]}, {"MLP": [[accuracy]]}, 0.0, task.protocol.to_json(), {"images": 6})

    found = plan.measure(evaluate)
    searches = [task for task in tasks if task.test is plan.held]
    assert [task.protocol.nets for task in searches] == [2] * 3 * 6
    tried = {next(iter(task.protocol.recipes.values())).lr for task in searches}
    assert tried == {0.001, 0.005, 0.01, 0.02, 0.05, 0.1}
    held = {tuple(image.flatten().tolist()) for image in plan.held.batch(torch.arange(len(plan.held)))[0]}
    assert len(plan.held) == 12
    assert not held & {tuple(image.flatten().tolist()) for image in plan.few.images}
    final = {(entry.row, entry.column): entry for entry in found.entries}
    rates = {key: entry.scores.protocol["recipes"]["MLP"]["lr"] for key, entry in final.items()}
    assert (rates[RANDOM, "own"], rates[RANDOM, "not augmented"]) == (0.05, 0.001)
    assert (rates[SET, "own"], rates[SET, "hard"], rates["whole set", "hard"]) == (0.02, 0.01, 0.01)
    augments = {key: entry.scores.protocol["recipes"]["MLP"]["augment"] for key, entry in final.items()}
    dsa = "color_crop_cutout_scale_rotate"
    assert [augments[RANDOM, column] for column in ("own", "augmented", "not augmented")] == ["crop", dsa, "none"]
    assert final["whole set", "hard"].scores.protocol["recipes"]["MLP"]["epochs"] == 7
    assert final[RANDOM, "own"].search[0.05] == pytest.approx(0.6)
    by_hand = label_robust_score(whole=0.9, hard=0.56, own=0.57, random_own=0.6)
    assert found.labels.score == pytest.approx(by_hand.score)
    assert found.augmentation.beta == pytest.approx(((0.57 - 0.6) + (0.581 - 0.6)) / 2)
    assert len(plan.tasks()) == len(tasks)
    json.dumps(found.to_json(), allow_nan=False)


def test_networks_rank_a_colour_set(toy) -> None:
    """Equal columns train once: the recipe of this set has the augmentation of the column augmented."""
    train, test = toy(channels=3), toy(channels=3, draw=1)
    synthetic = condense(Random(arch="MLP"), train, ipc=1)
    found = rank(synthetic, train, test, nets=1, epochs=2, whole_epochs=1, search_nets=1)
    entries = {(entry.row, entry.column): entry for entry in found.entries}
    assert entries[SET, "own"].scores is entries[SET, "augmented"].scores is entries[SET, "hard"].scores
    assert entries[RANDOM, "own"].search
    hlr = entries["whole set", "hard"].accuracy - entries[SET, "hard"].accuracy
    assert found.labels.hard_label_recovery == pytest.approx(hlr)
    with pytest.raises(InputError, match="name a single one"):
        rank(synthetic, train, test, archs=["MLP", "LeNet"])
