"""Evaluation: train fresh networks on a set, and count what they get right on real test images."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from . import machine, networks
from .artifact import SyntheticSet
from .augment import Augmentation, parse_training
from .distributed import Processes, all_processes
from .engine import Engine
from .errors import InputError
from .execution import Compile, Precision, decide, networks_at_once
from .networks import Network, pool_archs, serving
from .stacked import train_side_by_side
from .streams import Streams
from .training import Recipe, train
from .types import ImageSet, Scores

_TEST_BATCH = 2000  # images normalised at a time; bounds memory, not the chunk of a forward


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which networks are trained for a score, and how (Zhao, Mopuri & Bilen 2021). The last epoch is what counts."""

    recipes: Mapping[str, Recipe]
    """Architecture -> how its networks train."""
    nets: int
    """Networks of each architecture, each from fresh weights."""
    seed: int

    @property
    def archs(self) -> tuple[str, ...]:
        return tuple(self.recipes)

    @property
    def epochs(self) -> int:
        """Training epochs of all networks together."""
        return self.nets * sum(recipe.epochs for recipe in self.recipes.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def protocol_for(
    examples: SyntheticSet | ImageSet,
    *,
    archs: Sequence[str] | None = None,
    pool: str | None = None,
    nets: int = 5,
    epochs: int | None = None,
    augment: str = "auto",
    seed: int = 0,
) -> Protocol:
    """Fill in what was left open: networks, augmentation, and the published epochs for each.

    archs, or a published pool of them; by default the set's own network. A network of a pool that cannot serve the
    images is left out, and a warning says so.
    augment: auto takes what the set was condensed under; for a set condensed without, DC's rule (none, but
    crop_scale_rotate on MNIST and crop_noise for ConvNetBN); for real images DSA's.
    epochs: published are 1000 with augmentation and 300 without.
    Raises InputError for numbers that make no sense and for unknown names.
    """
    settings: Mapping[str, Any] = examples.provenance.get("settings", {}) if isinstance(examples, SyntheticSet) else {}
    own = settings.get("arch", "ConvNet")
    if archs and pool is not None:
        raise InputError("--archs and --pool exclude each other: take one")
    if pool is not None:
        archs, refused = serving(pool_archs(pool, own), examples.spec)
        if not archs:
            raise InputError(f"no network of pool {pool} serves {examples.spec.name}: {next(iter(refused.values()))}")
        for name, reason in refused.items():
            warnings.warn(f"pool {pool} without {name}: {reason}", stacklevel=2)
    if augment == "auto":
        augment = settings.get("augment", "auto")
        augment = "dc" if augment == "none" else augment
    if nets < 1 or (epochs is not None and epochs < 1):
        raise InputError(f"--nets {nets} --epochs {epochs}: both must be at least 1")
    recipes = {}
    for arch in archs or (own,):
        augmentation = parse_training(augment, examples.spec, arch)
        published = 1000 if augmentation else 300
        recipes[arch] = Recipe(epochs=published if epochs is None else epochs, augment=str(augmentation))
    return Protocol(recipes=recipes, nets=nets, seed=seed)


def evaluate(
    examples: SyntheticSet | ImageSet,
    test: ImageSet,
    *,
    archs: Sequence[str] | None = None,
    pool: str | None = None,
    nets: int = 5,
    epochs: int | None = None,
    augment: str = "auto",
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    compile: Compile = "auto",
    on_epoch: Callable[[], None] = lambda: None,
    processes: Processes | None = None,
) -> Scores:
    """Train `nets` fresh networks of each architecture on `examples`; test each after its last epoch.

    examples: a synthetic set, or real images for comparison. test: real images of the same classes.
    archs, pool, epochs, augment: as `protocol_for` fills them in. Nothing is chosen by test accuracy.
    on_epoch: called after every epoch of every network.
    processes: who shares the networks, each with the same arguments; by default all of PyTorch's process group where
    there is one. All get the scores, which are those of one process; the first alone calls on_epoch.
    Raises InputError when the test images do not fit the set, and for anything `protocol_for` refuses.
    """
    protocol = protocol_for(examples, archs=archs, pool=pool, nets=nets, epochs=epochs, augment=augment, seed=seed)
    how: dict[str, Any] = {"device": device, "precision": precision, "compile": compile}
    return evaluate_by(protocol, examples, test, on_epoch=on_epoch, processes=processes, **how)


def evaluate_by(
    protocol: Protocol,
    examples: SyntheticSet | ImageSet,
    test: ImageSet,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    compile: Compile = "auto",
    on_epoch: Callable[[], None] = lambda: None,
    processes: Processes | None = None,
) -> Scores:
    """`evaluate` under a protocol that is settled."""
    processes = all_processes() if processes is None else processes
    _check_fit(examples, test)
    started = time.perf_counter()
    executions = {}  # all of them first: what cannot run must not be found out after hours
    for arch, recipe in protocol.recipes.items():
        passes = protocol.nets * recipe.epochs * len(examples) * 3  # backward costs twice a forward
        executions[arch] = decide(arch, test.spec, passes, device=device, precision=precision, compile=compile)
    everything = [(arch, index) for arch in protocol.archs for index in range(protocol.nets)]
    mine = everything[processes.rank :: processes.size]
    told = _standing_for_all(on_epoch, mine, protocol) if processes.leads else lambda: None
    results: dict[tuple[str, int], tuple[float, list[float | None]]] = {}
    for arch in dict.fromkeys(arch for arch, _ in mine):
        recipe = protocol.recipes[arch]
        engine = Engine(executions[arch])  # each process trains networks of its own
        with engine.active():
            network = engine.prepare(networks.build(arch, test.spec))
            here, there = examples.to(engine.device), test.to(engine.device)
            augmentation = parse_training(recipe.augment, test.spec, arch)
            indices = [index for one, index in mine if one == arch]
            together = networks_at_once(engine.execution, arch, test.spec, recipe.batch)
            for some in (indices[first : first + together] for first in range(0, len(indices), together)):
                # apart from the networks the set was condensed under
                streams = [Streams(protocol.seed).at("evaluate", index) for index in some]
                predict = _train(network, here, streams, engine, recipe, augmentation, told)
                right, counts = _correct(predict, len(some), there)
                for index, of_net in zip(some, right, strict=True):
                    of_classes = [float(r / n) if n else None for r, n in zip(of_net, counts, strict=True)]
                    results[arch, index] = float(of_net.sum() / counts.sum()), of_classes
    results = {net: result for part in processes.gathered(results) for net, result in part.items()}
    accuracy: dict[str, list[float]] = {arch: [] for arch in protocol.archs}
    per_class: dict[str, list[list[float | None]]] = {arch: [] for arch in protocol.archs}
    for arch, index in everything:
        accuracy[arch].append(results[arch, index][0])
        per_class[arch].append(results[arch, index][1])
    return Scores(
        accuracy=accuracy,
        per_class=per_class,
        seconds=time.perf_counter() - started,
        protocol={
            **protocol.to_json(),
            "execution": {arch: execution.to_json() for arch, execution in executions.items()},
            "versions": machine.versions(),
            "machine": machine.describe(torch.device(next(iter(executions.values())).device), processes.size),
        },
        trained_on=_description(examples),
    )


def join(scores: Sequence[Scores]) -> Scores:
    """Scores of several sets that were made alike as those of one: n = sets x networks. The first says how."""
    first = scores[0]
    return Scores(
        accuracy={arch: [value for score in scores for value in score.accuracy[arch]] for arch in first.accuracy},
        per_class={arch: [value for score in scores for value in score.per_class[arch]] for arch in first.per_class},
        seconds=sum(score.seconds for score in scores),
        protocol={**first.protocol, "sets": len(scores)},
        trained_on=first.trained_on,
    )


def _standing_for_all(
    on_epoch: Callable[[], None], mine: Sequence[tuple[str, int]], protocol: Protocol
) -> Callable[[], None]:
    """What the leading process calls after its epochs, so that its share stands for all: they progress alike."""
    own, done, told = sum(protocol.recipes[arch].epochs for arch, _ in mine), 0, 0

    def epoch() -> None:
        nonlocal done, told
        done += 1
        while told < protocol.epochs * done // own:
            told += 1
            on_epoch()

    return epoch


def _train(
    network: Network,
    examples: SyntheticSet | ImageSet,
    streams: Sequence[Streams],
    engine: Engine,
    recipe: Recipe,
    augment: Augmentation,
    on_epoch: Callable[[], None],
) -> Callable[[Tensor], Tensor]:
    """Train a network for each of `streams`. What is returned gives their classes of images (N, C, H, W), (S, N)."""
    if len(streams) == 1:
        train(network, examples, streams[0], engine, recipe, augment=augment, on_epoch=on_epoch)
        return lambda images: engine.predict(network, images)[None]
    return train_side_by_side(network, examples, streams, engine, recipe, augment=augment, on_epoch=on_epoch).predict


def _correct(predict: Callable[[Tensor], Tensor], nets: int, test: ImageSet) -> tuple[Tensor, Tensor]:
    """Correctly classified test images of each class by each network, (S, K); images of each (K,); float64."""
    classes = test.spec.classes
    right = torch.zeros(nets, classes, dtype=torch.float64)
    for index in torch.arange(len(test)).split(_TEST_BATCH):
        images, labels = test.batch(index)
        hits = (predict(images) == labels).cpu()
        right += torch.stack([torch.bincount(labels.cpu()[of_net], minlength=classes) for of_net in hits])
    return right, test.counts.double()


def _check_fit(examples: SyntheticSet | ImageSet, test: ImageSet) -> None:
    difference = examples.spec.difference(test.spec)
    if difference:
        raise InputError(
            f"the test images of {test.spec.name!r} do not fit the set made from {examples.spec.name!r}: {difference}"
        )


def _description(examples: SyntheticSet | ImageSet) -> dict[str, Any]:
    provenance = dict(examples.provenance) if isinstance(examples, SyntheticSet) else {"method": "whole set"}
    return {"data": examples.spec.name, "images": len(examples), **provenance}
