"""Caches of networks and losses of plug-ins: another version of a file is trained anew."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from datacondense import NETWORKS, Compute, condense
from datacondense.cli.plugin_files import load_file
from datacondense.engine.losses import LOSSES
from datacondense.evaluation.cached import evaluate_once
from datacondense.evaluation.protocol import protocol_for
from datacondense.methods import Herding, ItGan, Random
from datacondense.training.cache_keys import with_code
from datacondense.training.recipe import Recipe
from datacondense.utils import cache
from datacondense.utils.distributed import all_processes

FILE = """
from math import prod
from torch import nn
from torch.nn import functional as F
def own(spec):
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(spec.shape), 8), nn.{layer}(), nn.Linear(8, spec.classes))
def mine(logits, labels, temperature):
    return {factor} * F.cross_entropy(logits, labels, reduction="none")
NETWORKS = {{"own": own}}
LOSSES = {{"mine": mine}}
"""


def forget() -> None:
    NETWORKS.pop("own", None)
    LOSSES.pop("mine", None)


@pytest.fixture(autouse=True)
def without_plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    forget()


def load(layer: str = "ReLU", factor: int = 1) -> None:
    forget()
    Path("mine.py").write_text(FILE.format(layer=layer, factor=factor))
    load_file("mine.py")


def entries(folder: str) -> int:
    path = cache.folder() / folder
    return sum(file.suffix == ".safetensors" for file in path.iterdir()) if path.exists() else 0


def test_keys_of_built_in_names_are_as_before() -> None:
    assert with_code({"arch": "MLP"}, ["MLP", "ConvNet"], ["ce"]) == {"arch": "MLP"}


def test_a_key_has_the_content_of_the_file_and_not_its_place() -> None:
    load()
    first = with_code({}, ["own"], ["mine"])
    Path("other.py").write_text(Path("mine.py").read_text())
    forget()
    load_file("other.py")
    assert with_code({}, ["own"], ["mine"]) == first
    assert first is not None
    assert first["plugins"].keys() == {"network own", "loss mine"}
    load(factor=2)
    assert with_code({}, ["own"], ["mine"]) != first
    NETWORKS["own"] = lambda spec: nn.Identity()
    assert with_code({}, ["own"]) is None


def test_another_version_of_a_network_is_pretrained_anew(toy) -> None:
    def herd() -> torch.Tensor:
        return condense(Herding(arch="own", epochs=2), toy(), 2).images

    for layer, number in (("ReLU", 1), ("Hardshrink", 2), ("ReLU", 2)):
        load(layer)
        herd()
        assert entries("networks") == number
    own = NETWORKS["own"]
    forget()
    NETWORKS["own"] = own  # from Python: its code is unknown
    herd()
    assert entries("networks") == 2


def test_another_version_of_a_network_has_another_pool_and_other_latents(toy) -> None:
    method = ItGan(
        arch="own",
        iterations=1,
        batch_real=8,
        generator_steps=2,
        inversion_steps=2,
        epochs=1,
        networks=2,
        network_steps=1,
        latent=4,
    )
    for layer, number in (("ReLU", 1), ("Hardshrink", 2)):
        load(layer)
        condense(method, toy(), 1)
        assert [entries(folder) for folder in ("pools", "latents", "generators")] == [number, number, 1]
    own = NETWORKS["own"]
    forget()
    NETWORKS["own"] = own
    condense(method, toy(), 1)
    assert (entries("pools"), entries("latents")) == (2, 2)


def test_scores_of_another_version_are_evaluated_anew(toy) -> None:
    made = condense(Random(arch="MLP"), toy(), 1, out="run")
    epochs: list[float] = []

    def trained(arch: str, loss: str) -> bool:
        epochs.clear()
        protocol = protocol_for(made, archs=[arch], nets=1, recipe=Recipe(epochs=1, loss=loss))
        compute = Compute(device="cpu", compile="off")

        def count(done: float, total: float) -> None:
            epochs.append(done)

        evaluate_once(protocol, made, toy(draw=1), Path("run"), count, compute, all_processes())
        return bool(epochs)

    load()
    assert [trained("own", "mine") for _ in range(2)] == [True, False]
    load(factor=2)
    assert [trained("own", "mine") for _ in range(2)] == [True, False]
    assert [trained("MLP", "ce") for _ in range(2)] == [True, False]
    loss = LOSSES["mine"]
    forget()
    LOSSES["mine"] = loss
    assert [trained("MLP", "mine") for _ in range(2)] == [True, True]
