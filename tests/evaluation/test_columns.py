"""A set and real images beside it, trained on alike: the entries, their scores, and where these are found again."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datacondense import (
    InputError,
    Random,
    Recipe,
    SyntheticSet,
    condense,
    evaluate_columns,
    keep_scores,
    label,
    load_set,
)
from datacondense.augment.mix import MixKind
from datacondense.evaluation.baselines import baselines, real_rows
from datacondense.evaluation.columns import Cell, all_augments, augment_cells, first_alike, label_cells
from datacondense.evaluation.labelling import LabelOptions
from datacondense.evaluation.protocol import protocol_for
from datacondense.evaluation.ranking import plan_ranking
from datacondense.evaluation.score_log import is_score_of, saved_scores
from datacondense.evaluation.scores import KMEANS, RANDOM, SET
from datacondense.evaluation.viewed_set import views_of, with_views
from datacondense.report.reading import Run
from datacondense.synthetic.set import FILE_NAME, save

OWN = Recipe(epochs=3, augment="none", optimiser="adam", loss="kl")


def made(toy, ipc: int = 2) -> SyntheticSet:
    """A set of soft labels with a recipe of its own."""
    hard = condense(Random(arch="MLP", augment="none"), toy(), ipc=ipc, seed=5)
    return replace(hard, labels=(3 * F.one_hot(hard.labels, 3).float()).softmax(1), recipe=OWN)


def to_first(images: Tensor) -> Tensor:
    """A teacher that knows one class."""
    return F.one_hot(torch.zeros(len(images), dtype=torch.int64), 3).to(images)


def labels_of(cell: Cell) -> Tensor:
    return cell.examples.batch(torch.arange(len(cell.examples)))[1]


def test_real_images_are_as_many_of_each_class_where_a_soft_label_is_largest_for_another(toy) -> None:
    synthetic = made(toy)
    other = replace(synthetic, labels=synthetic.labels[[2, *range(1, 6)]])  # the first image of class 0: now of 1
    assert other.counts.tolist() == [1, 3, 2]
    for one in real_rows(other, toy(), "MLP").values():
        assert one.counts.tolist() == [2, 2, 2]


@pytest.mark.filterwarnings("ignore:1 of 3 classes has fewer than 5 training images:UserWarning")
def test_real_images_are_as_many_as_the_set_stores(toy) -> None:
    real, synthetic = toy(sizes=(30, 3, 20)), condense(Random(arch="MLP"), toy(sizes=(9, 3, 9)), ipc=5)
    assert synthetic.counts.tolist() == [5, 3, 5]
    found = real_rows(synthetic, real, "MLP")
    pixels = real.batch(torch.arange(53))[0]
    for one in found.values():
        assert one.counts.tolist() == [5, 3, 5]
        for image, number in zip(one.images, one.labels, strict=True):
            same = (pixels == image).flatten(1).all(1)
            assert real.labels[same].tolist() == [int(number)]
        assert len({tuple(image.flatten().tolist()) for image in one.images}) == 13
    assert not torch.equal(found[RANDOM].images, found[KMEANS].images)
    with pytest.raises(InputError, match="do not fit the set made from 'toy'"):
        real_rows(synthetic, toy(channels=3), "MLP")


@pytest.mark.filterwarnings("ignore:.* fewer than 5 training images:UserWarning")
@pytest.mark.parametrize("views", [1, 3])
def test_real_images_beside_a_labelled_set_are_of_its_classes_whatever_its_labels_say(
    views: int, toy, tmp_path: Path
) -> None:
    real = toy(sizes=(9, 3, 9))
    hard = condense(Random(arch="MLP", augment="crop"), real, ipc=5)
    taught: LabelOptions = {"moment": 1.0, "temperature": 1.0, "training_steps": 40}
    seen: LabelOptions = {**taught, "views": None if views == 1 else views}
    after = label(hard, real, **seen)
    odd = replace(after, labels=to_first(after.images))
    save(odd, tmp_path / FILE_NAME)
    for one in (odd, load_set(tmp_path / FILE_NAME), replace(odd, labels=odd.classes)):
        assert one.counts.tolist() == [len(after), 0, 0]
        assert one.stored_classes.tolist() == hard.labels.tolist()
        assert one.stored_counts.tolist() == [5, 3, 5]
        for row in (*baselines([one], real, "MLP").values(), *real_rows(one, real, "MLP").values()):
            assert row.counts.tolist() == [5 * views, 3 * views, 5 * views]
    if views == 1:
        assert label(odd, real, **taught).provenance.labels["classes"] == [[0, 5], [1, 3], [2, 5]]


def test_classes_that_do_not_fit_the_images_are_not_taken(toy) -> None:
    synthetic = made(toy)
    for runs in ([[0, 2], [1, 2]], [[0, 2], [1, 2], [3, 2]], []):
        other = replace(synthetic, provenance=synthetic.provenance.changed(labels={"classes": runs}))
        assert other.stored_classes.tolist() == [0, 0, 1, 1, 2, 2]


def test_each_column_has_its_labels_and_its_recipe(toy) -> None:
    synthetic = made(toy)
    real = real_rows(synthetic, toy(), "MLP", rows=[RANDOM])
    cells = label_cells(synthetic, real, ["hard", "own", "online"], to_first, nets=2)
    found = {(cell.row, cell.column): cell for cell in cells}
    assert list(found) == [(row, column) for column in ("hard", "own", "online") for row in (SET, RANDOM)]
    for row in (SET, RANDOM):
        hard, own, online = (found[row, column] for column in ("hard", "own", "online"))
        assert (hard.protocol.source, own.protocol.source, online.protocol.source) == ("published", "own", "own")
        assert (hard.protocol.recipes["MLP"], own.protocol.recipes["MLP"]) == (Recipe(epochs=300), OWN)
        assert (hard.relabel, own.relabel, online.relabel) == (None, None, to_first)
        assert torch.equal(labels_of(hard), synthetic.classes)
    assert found[SET, "own"].examples is synthetic
    assert torch.equal(labels_of(found[RANDOM, "own"]), to_first(real[RANDOM].images))
    assert torch.equal(labels_of(label_cells(synthetic, real, ["own"])[1]), real[RANDOM].labels)
    with pytest.raises(InputError, match="the column online has labels of a teacher"):
        label_cells(synthetic, real, ["online"])
    with pytest.raises(InputError, match="unknown column 'soft'"):
        label_cells(synthetic, real, ["soft"])


@pytest.mark.parametrize("mix", ["none", "cutmix"])
def test_real_images_beside_views_are_seen_in_as_many(mix: MixKind, toy) -> None:
    before = condense(Random(arch="MLP", augment="crop_flip"), toy(), ipc=2)
    synthetic = with_views(before, 4, "crop_flip", 0, mix)
    real = real_rows(synthetic, toy(), "MLP", rows=[RANDOM])
    (drawn,) = baselines([synthetic], toy(), "MLP").values()
    assert views_of(real[RANDOM]) == views_of(drawn) == views_of(synthetic) == (4, "crop_flip", mix)
    assert len(drawn) == len(synthetic)
    cells = label_cells(synthetic, real, ["hard", "own"], nets=1)
    (usual,) = protocol_for(before, nets=1).recipes.values()
    for cell in cells:
        assert cell.protocol.recipes["MLP"].epochs == round(usual.epochs / 4)
        assert (labels_of(cell).dim() == 1) == (cell.column == "hard" or mix == "none")
    assert len({cell.protocol.recipes["MLP"] for cell in cells if cell.column == "own"}) == 1
    ranked = plan_ranking(synthetic, toy(), toy(draw=1), nets=1).cells[0]
    assert ranked.same_training(cells[0])


def test_a_teacher_labels_real_images_as_the_set_stores_its_labels(toy) -> None:
    synthetic = replace(made(toy), provenance=made(toy).provenance.changed(labels={"top_k": 1}))
    real = real_rows(synthetic, toy(), "MLP", rows=[RANDOM])

    def unsure(images: Tensor) -> Tensor:
        return torch.tensor([0.6, 0.3, 0.1]).expand(len(images), 3)

    (_, beside) = label_cells(synthetic, real, ["own"], unsure)
    kept = float(torch.tensor(0.6).half())
    assert torch.equal(labels_of(beside), torch.tensor([kept, (1 - kept) / 2, (1 - kept) / 2]).expand(6, 3))
    assert isinstance(beside.examples, SyntheticSet)
    assert beside.examples.tensors().keys() >= {"labels.values"}


def test_equal_trainings_are_one(toy) -> None:
    """The columns hard and own of a set of hard labels without a recipe are those of the same networks."""
    hard = replace(made(toy), labels=made(toy).classes, recipe=None)
    real = real_rows(hard, toy(), "MLP", rows=[RANDOM])
    assert first_alike(label_cells(hard, real, ["hard", "own"])) == [0, 1, 0, 1]
    assert first_alike(label_cells(made(toy), real, ["hard", "own", "online"], to_first)) == [0, 1, 2, 3, 4, 5]


def test_each_augmentation_is_a_column(toy) -> None:
    synthetic = made(toy)
    real = real_rows(synthetic, toy(), "MLP", rows=[RANDOM])
    names = ["none", "dsa", "color", "crop", "cutout", "scale", "rotate", "dc:crop_scale_rotate"]
    assert all_augments(synthetic.spec) == names  # a mirrored toy changes its class
    cells: list[Cell] = augment_cells(synthetic, real, ["all", "crop"])
    assert [cell.column for cell in cells] == [name for name in names for _ in range(2)]
    trained = [cell.protocol.recipes["MLP"].augment for cell in cells]
    assert trained == ["color_crop_cutout_scale_rotate" if c.column == "dsa" else c.column for c in cells]


def test_the_table_is_found_again_in_the_run(toy, tmp_path: Path) -> None:
    synthetic, test = made(toy), toy(sizes=(6, 3, 3), draw=1)
    run = tmp_path / "run"
    run.mkdir()
    save(synthetic, run / FILE_NAME)
    columns = ("hard", "own", "online")
    table = evaluate_columns(synthetic, toy(), test, columns=columns, relabel=to_first, nets=1, epochs=8)
    assert list(table) == [SET, RANDOM, KMEANS]
    for row in table:
        assert list(table[row]) == list(columns)
        assert table[row]["online"].mean("MLP") == 0.5  # the teacher knows the first class alone
        assert table[row]["online"].protocol["relabelled"] is True
        assert table[row]["online"].per_class["MLP"] == [[1.0, 0.0, 0.0]]
        assert table[row]["hard"].per_class["MLP"] != [[1.0, 0.0, 0.0]]
    keep_scores(run, {f"{row}, {column}": score for row in table for column, score in table[row].items()})
    assert [is_score_of(score, synthetic) for score in saved_scores(run)[:3]] == [False, True, False]
    read = Run.at(run, "run")
    assert {row: list(found) for row, found in read.table.items()} == {row: list(columns) for row in table}
    assert read.table[KMEANS]["own"].accuracy == table[KMEANS]["own"].accuracy
    assert read.scores["condensed"].accuracy == table[SET]["own"].accuracy
    assert read.scores["random real images"].accuracy == table[RANDOM]["own"].accuracy
