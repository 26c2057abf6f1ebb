"""Check the arguments of `condense` and `estimate` before any work is done."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import networks
from ..augment import parse_training
from ..data.image_set import ImageSet
from ..methods import Method, method_name, with_network
from ..methods.small_classes import counts_text, image_classes
from ..synthetic import set as set_file
from ..synthetic.set import SyntheticSet
from ..training.recipe import Recipe
from ..utils.errors import DamagedFile, InputError
from ..utils.ranges import Images, check_arguments, check_fields, plain_fields
from .options import RunOptions


def check_session(options: RunOptions, out: str | Path | None) -> None:
    """Raise InputError for options that exclude each other, need a run directory, or have invalid values."""
    if options.get("resume") and options.get("overwrite"):
        raise InputError("--resume and --overwrite exclude each other: use one")
    if options.get("snapshots") and out is None:
        raise InputError(f"--snapshots {options.get('snapshots')}: snapshots need a run directory: name one with --out")


def check_kind(method: object) -> None:
    """Raise InputError for what is not a method."""
    if not isinstance(method, Method):
        raise InputError(f"{method!r} is not a method: give one, such as datacondense.methods.DistributionMatching()")


def checked_method(method: Method, real: ImageSet, ipc: Images) -> Method:
    """Return a method as it runs on these images: its network by a plain name, its numbers those of Python.

    Raises InputError for what is no method, and as `check_method` does.
    """
    check_kind(method)
    method = with_network(method, real.spec)
    check_method(method, real, ipc)
    return plain_fields(method)


def check_method(method: Method, real: ImageSet, ipc: Images) -> None:
    """Raise InputError for settings, data or numbers that make a run impossible."""
    check_fields(method)  # also for a plugin that overrides `check`
    method.check()
    if real.spec.classes < method.least_classes:
        raise InputError(f"{method_name(method)} needs at least two classes, but there is only one")
    check_arguments(check_method, ipc=ipc)
    recipe = method.recipe(real.spec, ipc)
    if not isinstance(recipe, Recipe | None):
        raise InputError(f"recipe() of {method_name(method)} returns {recipe!r}: return a Recipe, or None")
    if recipe is not None:
        recipe.check()
        parse_training(recipe.augment, real.spec, method.arch)
    with torch.device("meta"):
        method.check_network(networks.build(networks.resolved(method.arch, real.spec), real.spec), real.spec)
    method.views(real.spec)  # which refuses a form that images of this size cannot have
    number, names = _fewer(real.counts, 1, real)
    if number:
        raise InputError(
            f"{number} of {real.spec.classes} classes {_have(number)} no training image: {names}; "
            f"leave them out of the data"
        )


def note_small_classes(start: SyntheticSet | None, method: Method, real: ImageSet, ipc: int) -> None:
    """Warn of classes with fewer images than `ipc`, and report how the method treats them."""
    counts = real.counts if start is None else torch.bincount(image_classes(start), minlength=real.spec.classes)
    views = method.views(real.spec)
    each = ipc * views
    number, names = _fewer(counts, each, real)
    if not number:
        return
    what = "training images" if start is None else "images in the set to start from"
    made = f"still makes {each} images of each" if method.fills_up else "keeps all their images"
    hint = "; `condense --drop-small-classes` leaves them out" if start is None and views == 1 else ""
    warnings.warn(
        f"{number} of {real.spec.classes} classes {_have(number)} fewer than {each} {what}: {names}; "
        f"{method_name(method)} {made}{hint}",
        stacklevel=3,
    )


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _fewer(counts: Tensor, least: int, real: ImageSet) -> tuple[int, str]:
    """Return the number of classes with fewer than `least` images, and the first of them in words."""
    some = [(name, n) for name, n in zip(real.spec.class_names, counts.tolist(), strict=True) if n < least]
    return len(some), counts_text([name for name, _ in some], [n for _, n in some])


def check_provenance(made: Mapping[str, Any], real: ImageSet) -> None:
    """Raise InputError for a provenance that no file of a set can hold."""
    try:
        made = json.loads(json.dumps(made))
    except TypeError as error:
        raise InputError(f"{error}: give only numbers, text, and lists of these") from None
    try:
        set_file.read_header({"format": set_file.FORMAT, "spec": real.spec.to_json(), "provenance": made})
    except DamagedFile as error:
        raise InputError(str(error)) from None  # there is no file yet


def check_start(start: SyntheticSet | None, method: Method, real: ImageSet, ipc: int) -> None:
    """Raise InputError for a set that a run on `real` cannot start from.

    A class with fewer than `ipc` images in the set is filled up, if another class has `ipc` images.
    """
    if start is None:
        return
    if not isinstance(start, SyntheticSet):
        raise InputError(f"start: {start!r} is not a set: give datacondense.load_set(RUN)")
    if not method.takes_start:
        raise InputError(f"--start: {method_name(method)} does not optimise the pixels of images: use another method")
    difference = real.spec.difference(start.spec)
    if difference:
        raise InputError(
            f"--start: the set comes from another dataset ({difference}): name one that was made from {real.spec.name}"
        )
    most, views = int(start.stored_counts.max()) * start.views, method.views(real.spec)
    if most != ipc * views:
        use = f"use --ipc {most // views}" if most % views == 0 else f"{views} for each stored image do not divide them"
        raise InputError(f"--start: the set has {start.per_class} images of each class: {use}")
