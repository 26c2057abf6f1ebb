"""The entries of a fair table: a set and real images beside it, trained on alike, column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from typing_extensions import Unpack

from ..augment import dsa
from ..data.conversion import AnyImages, as_image_set
from ..data.image_set import ImageSet
from ..data.spec import Spec
from ..engine.execution import Compute, resolve_device
from ..synthetic.set import SyntheticSet
from ..synthetic.top_labels import TOP_K, as_stored
from ..training.loop import Relabel
from ..utils.distributed import ALONE
from ..utils.errors import InputError, unknown
from ..utils.keywords import check_keywords
from .baselines import real_rows
from .evaluator import Task, together, train_share
from .protocol import Protocol, ProtocolOptions, protocol_for
from .scores import HARD, ONLINE, OWN_LABELS, PUBLISHED, SET, Scores
from .viewed_set import views_of

COLUMNS = (HARD, OWN_LABELS, ONLINE)
_RELABELLED = 500  # images that a teacher labels at a time
_AUGMENTS_BESIDE_DSA = ("dc:crop_scale_rotate",)


@final
@dataclass(frozen=True)
class Cell:
    """An entry of a fair table, before its networks are trained."""

    row: str
    """SET, RANDOM or KMEANS, or another name of the images."""
    column: str
    """HARD, OWN_LABELS or ONLINE, or an augmentation in training."""
    examples: SyntheticSet | ImageSet
    protocol: Protocol
    relabel: Relabel | None = None

    def same_training(self, other: "Cell") -> bool:
        """Return whether both are the scores of the same networks, as hard and own of a set of hard labels are."""
        return (
            self.row == other.row
            and self.protocol == other.protocol
            and self.relabel is other.relabel
            and self.examples.fingerprint() == other.examples.fingerprint()
        )


class ColumnOptions(ProtocolOptions, total=False):
    """Keywords of the training in all columns. `recipe` is that of the columns own and online."""

    archs: Sequence[str] | str | None
    """Names of networks; None takes the one that the set was made with."""


def label_cells(
    synthetic: SyntheticSet,
    real: Mapping[str, SyntheticSet],
    columns: Sequence[str],
    relabel: Relabel | None = None,
    *,
    device: str = "cpu",
    **options: Unpack[ColumnOptions],
) -> list[Cell]:
    """Return the entries of the columns that differ by their labels.

    - hard: each label replaced by its class, and the published recipe, with as many epochs on all views of each image
      as are otherwise made on one.
    - own: the stored labels, and the recipe that is stored with the set. Real images have the labels of the teacher
      beside a set of soft labels, if there is a teacher, and else their class.
    - online: the same recipe, and labels that the teacher gives to each augmented batch.

    Args:
        synthetic: The set.
        real: Row -> real images beside it, with hard labels.
        columns: Names of COLUMNS.
        relabel: The teacher: normalised images (n, C, H, W) -> soft labels (n, K).
        device: Where the teacher takes images.
        options: As in `protocol_for`.

    Raises:
        InputError: A column is unknown, or online is asked for without a teacher.
    """
    for name in columns:
        if name not in COLUMNS:
            raise unknown("column", name, COLUMNS)
    if ONLINE in columns and relabel is None:
        raise InputError("the column online has labels of a teacher: name one, such as --teacher real")
    cells: list[Cell] = []
    for column in dict.fromkeys(columns):
        if column == HARD:
            hard = {SET: synthetic, **real}
            cells += [hard_cell(row, images, synthetic, **options) for row, images in hard.items()]
            continue
        protocol = protocol_for(synthetic, **options)
        teacher = relabel if column == ONLINE else None
        labelled = relabel if column == OWN_LABELS and synthetic.soft else None
        cells.append(Cell(SET, column, synthetic, protocol, teacher))
        for row, images in real.items():
            images = images if labelled is None else relabelled(images, labelled, synthetic, device)
            cells.append(Cell(row, column, images, protocol, teacher))
    return cells


def hard_cell(row: str, images: SyntheticSet, synthetic: SyntheticSet, **options: Unpack[ColumnOptions]) -> Cell:
    """Return an entry of the column hard: images with their class, by the published recipe.

    Args:
        row: As in `Cell`.
        images: The set, or real images beside it. On views there are as many steps as otherwise on one image of each.
        synthetic: The set.
        options: As in `label_cells`.
    """
    chosen: Any = {**options, "recipe": PUBLISHED}
    protocol = protocol_for(hardened(synthetic), **chosen)
    if options.get("epochs") is None and (views := views_of(synthetic)):
        protocol = protocol.shortened(1 / views[0])
    return Cell(row, HARD, hardened(images), protocol)


def augment_cells(
    synthetic: SyntheticSet,
    real: Mapping[str, SyntheticSet],
    augments: Sequence[str],
    **options: Unpack[ColumnOptions],
) -> list[Cell]:
    """Return the entries of the columns that differ by the augmentation in training (DC-BENCH, Cui et al. 2022).

    Args:
        synthetic: The set, with its stored labels and recipe.
        real: Row -> real images beside it, with hard labels.
        augments: Augmentations as `parse_training` takes them, or all: see `all_augments`.
        options: As in `protocol_for`, without `augment`.

    Raises:
        InputError: An augmentation is unknown.
    """
    names = [name for each in augments for name in (all_augments(synthetic.spec) if each == "all" else [each])]
    cells: list[Cell] = []
    for name in dict.fromkeys(names):
        chosen: Any = {**options, "augment": name}
        protocol = protocol_for(synthetic, **chosen)
        cells += [Cell(row, name, images, protocol) for row, images in {SET: synthetic, **real}.items()]
    return cells


def all_augments(spec: Spec) -> list[str]:
    """Return none, dsa, each of its strategies alone, and DC's; without flip if a mirrored image changes its class."""
    each = [name for name in dsa.STRATEGIES if name != "flip" or spec.flip]
    return ["none", "dsa", *each, *_AUGMENTS_BESIDE_DSA]


def hardened(synthetic: SyntheticSet) -> SyntheticSet:
    """Return the set with each soft label replaced by its class."""
    return replace(synthetic, labels=synthetic.classes) if synthetic.soft else synthetic


def relabelled(
    images: SyntheticSet, relabel: Relabel, synthetic: SyntheticSet | None = None, device: str = "cpu"
) -> SyntheticSet:
    """Return images with the labels that a teacher gives to them, without augmentation.

    Args:
        images: Real images.
        relabel: The teacher.
        synthetic: The set beside which they stand: where it stores only the largest probabilities of each label, so do
            they; None for all.
        device: Where the teacher takes images.
    """
    with torch.no_grad():
        found = [relabel(some.to(device)).float().cpu() for some in images.images.split(_RELABELLED)]
    k = None if synthetic is None else synthetic.provenance.labels.get(TOP_K)
    provenance = images.provenance if k is None else images.provenance.changed(labels={TOP_K: k})
    return replace(images, labels=as_stored(torch.cat(found), k), provenance=provenance)


def first_alike(cells: Sequence[Cell]) -> list[int]:
    """Return for each entry the place of the first with the same training, whose networks need not train again."""
    return [next(i for i, other in enumerate(cells) if other.same_training(cell)) for cell in cells]


def evaluate_columns(
    synthetic: SyntheticSet,
    train: AnyImages,
    test: AnyImages,
    *,
    columns: Sequence[str] = (HARD, OWN_LABELS),
    relabel: Relabel | None = None,
    compute: Compute | None = None,
    **options: Unpack[ColumnOptions],
) -> dict[str, dict[str, Scores]]:
    """Evaluate a set and real images beside it by the same labels, recipe and number of stored images.

    Args:
        synthetic: The set.
        train: The training images that it was made from, as in `condense`; random and k-means images are chosen from
            them.
        test: Real images of the same classes, as in `evaluate`.
        columns: hard: each label replaced by its class, and the published recipe; own: the stored labels and the recipe
            that is stored with the set; online: labels that `relabel` gives to each augmented batch.
        relabel: A teacher: takes normalised images (n, C, H, W), gives soft labels (n, K). Beside a set of soft labels
            it also labels the real images of the column own, which otherwise have their class.
        compute: As in `evaluate`.
        options: Keywords of `evaluate` that set the protocol.

    Returns:
        Row ("set", "random real", "k-means real") -> column -> scores.

    Raises:
        InputError: An argument cannot be used.
    """
    check_keywords("evaluate_columns", ColumnOptions, options)
    train = as_image_set(train, spec=synthetic.spec)
    test = as_image_set(test, part="test", spec=synthetic.spec)
    compute = Compute() if compute is None else compute
    arch, device = protocol_for(synthetic, **options).archs[0], resolve_device(compute.device)
    real = real_rows(synthetic, train, arch, device)
    cells = label_cells(synthetic, real, columns, relabel, device=device, **options)
    trained: list[Scores] = []
    for place, (first, cell) in enumerate(zip(first_alike(cells), cells, strict=True)):
        if first < place:
            trained.append(trained[first])
            continue
        task = Task(cell.protocol, cell.examples, test, cell.relabel)
        trained.append(together(train_share(task, ALONE, compute), ALONE))
    table: dict[str, dict[str, Scores]] = {}
    for cell, scores in zip(cells, trained, strict=True):
        table.setdefault(cell.row, {})[cell.column] = scores.in_table(cell.column, cell.row, synthetic.fingerprint())
    return table
