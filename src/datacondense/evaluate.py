"""Evaluation: train fresh networks on a set, and count what they get right on real test images."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import torch

from . import machine, networks
from .artifact import SyntheticSet
from .augment import parse
from .engine import Compile, Engine, Precision, decide
from .errors import InputError
from .networks import Network
from .streams import Streams
from .training import train
from .types import ImageSet, Scores

_TEST_BATCH = 2000  # images normalised at a time; bounds memory, not the chunk of a forward


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How networks are trained for a score (Zhao, Mopuri & Bilen 2021). The last epoch is what counts."""

    archs: tuple[str, ...]
    nets: int
    """Networks of each architecture, each from fresh weights."""
    epochs: int
    augment: str
    seed: int
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch: int = 256


def protocol_for(
    examples: SyntheticSet | ImageSet,
    *,
    archs: Sequence[str] | None = None,
    nets: int = 5,
    epochs: int | None = None,
    augment: str = "auto",
    seed: int = 0,
) -> Protocol:
    """Fill in what was left open: the set's own network and augmentation, and the published epochs for those.

    Published: 1000 epochs with augmentation, 300 without. A set that carries no settings of its own (real images) gets
    ConvNet and DSA's augmentation. Raises InputError for numbers that make no sense and for an unknown augmentation.
    """
    settings: Mapping[str, Any] = examples.provenance.get("settings", {}) if isinstance(examples, SyntheticSet) else {}
    if augment == "auto":
        augment = settings.get("augment", "auto")
    augmentation = parse(augment, examples.spec)
    archs = tuple(dict.fromkeys(archs) if archs else (settings.get("arch", "ConvNet"),))
    epochs = (1000 if augmentation else 300) if epochs is None else epochs
    if nets < 1 or epochs < 1:
        raise InputError(f"--nets {nets} --epochs {epochs}: both must be at least 1")
    return Protocol(archs=archs, nets=nets, epochs=epochs, augment=str(augmentation), seed=seed)


def evaluate(
    examples: SyntheticSet | ImageSet,
    test: ImageSet,
    *,
    archs: Sequence[str] | None = None,
    nets: int = 5,
    epochs: int | None = None,
    augment: str = "auto",
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "fp32",
    compile: Compile = "auto",
    on_epoch: Callable[[], None] = lambda: None,
) -> Scores:
    """Train `nets` fresh networks of each architecture on `examples`; test each after its last epoch.

    examples: a synthetic set, or real images for comparison. test: real images of the same classes.
    augment, epochs, archs: as `protocol_for` fills them in. Nothing is chosen by test accuracy.
    on_epoch: called after every epoch of every network.
    Raises InputError when the test images do not fit the set, and for anything `protocol_for` refuses.
    """
    protocol = protocol_for(examples, archs=archs, nets=nets, epochs=epochs, augment=augment, seed=seed)
    _check_fit(examples, test)
    started = time.perf_counter()
    accuracy: dict[str, list[float]] = {arch: [] for arch in protocol.archs}
    per_class: dict[str, list[list[float | None]]] = {arch: [] for arch in protocol.archs}
    trained_images = protocol.nets * protocol.epochs * len(examples) * 3  # backward costs twice a forward
    executions = {  # all of them first: what cannot run must not be found out after hours
        arch: decide(arch, test.spec, trained_images, device=device, precision=precision, compile=compile)
        for arch in protocol.archs
    }
    for arch, execution in executions.items():
        engine = Engine(execution)
        with engine.active():
            network = engine.prepare(networks.build(arch, test.spec))
            here, there = examples.to(engine.device), test.to(engine.device)
            for index in range(protocol.nets):
                train(
                    network,
                    here,
                    Streams(seed).at("evaluate", index),  # apart from the networks the set was condensed under
                    engine,
                    epochs=protocol.epochs,
                    augment=parse(protocol.augment, test.spec),
                    lr=protocol.lr,
                    momentum=protocol.momentum,
                    weight_decay=protocol.weight_decay,
                    batch=protocol.batch,
                    on_epoch=on_epoch,
                )
                right, counts = _correct(network, there, engine)
                accuracy[arch].append(float(right.sum() / counts.sum()))
                per_class[arch].append([float(r / n) if n else None for r, n in zip(right, counts, strict=True)])
    return Scores(
        accuracy=accuracy,
        per_class=per_class,
        seconds=time.perf_counter() - started,
        protocol={
            **asdict(protocol),
            "execution": {arch: execution.to_json() for arch, execution in executions.items()},
            "versions": machine.versions(),
        },
        trained_on=_description(examples),
    )


def _correct(network: Network, test: ImageSet, engine: Engine) -> tuple[torch.Tensor, torch.Tensor]:
    """Correctly classified test images of each class, and test images of each class; both float64 (K,)."""
    right = torch.zeros(test.spec.classes, dtype=torch.float64)
    for index in torch.arange(len(test)).split(_TEST_BATCH):
        images, labels = test.batch(index)
        hits = labels[engine.predict(network, images) == labels]
        right += torch.bincount(hits.cpu(), minlength=test.spec.classes)
    return right, test.counts.double()


def _check_fit(examples: SyntheticSet | ImageSet, test: ImageSet) -> None:
    ours, theirs = examples.spec, test.spec
    for what in ("shape", "class_names", "mean", "std"):
        if getattr(ours, what) != getattr(theirs, what):
            raise InputError(
                f"the test images of {theirs.name!r} do not fit the set made from {ours.name!r}: "
                f"{what} is {getattr(theirs, what)}, the set has {getattr(ours, what)}"
            )


def _description(examples: SyntheticSet | ImageSet) -> dict[str, Any]:
    provenance = dict(examples.provenance) if isinstance(examples, SyntheticSet) else {"method": "whole set"}
    return {"data": examples.spec.name, "images": len(examples), **provenance}
