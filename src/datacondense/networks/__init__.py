# pyright: reportUnknownMemberType=false
"""Networks by their published names."""

from collections.abc import Callable, Sequence
from functools import partial

import torch

from ..data.spec import Spec
from ..utils.errors import InputError, unknown
from .alexnet import AlexNet
from .base import Network
from .convnet import ConvNet
from .lenet import LeNet
from .mlp import MLP
from .pools import OWN_POOLS, POOLS, pool_archs
from .resnet import ResNet18
from .vgg import VGG11

NETWORKS: dict[str, Callable[[Spec], Network]] = {
    "ConvNet": ConvNet,
    "ConvNetW32": partial(ConvNet, width=32),
    "ConvNetW64": partial(ConvNet, width=64),
    "ConvNetW128": partial(ConvNet, width=128),
    "ConvNetW256": partial(ConvNet, width=256),
    "ConvNetD1": partial(ConvNet, depth=1),
    "ConvNetD2": partial(ConvNet, depth=2),
    "ConvNetD3": partial(ConvNet, depth=3),
    "ConvNetD4": partial(ConvNet, depth=4),
    "ConvNetAS": partial(ConvNet, activation="sigmoid"),
    "ConvNetAR": partial(ConvNet, activation="relu"),
    "ConvNetAL": partial(ConvNet, activation="leaky_relu"),
    "ConvNetASwish": partial(ConvNet, activation="swish"),
    "ConvNetNN": partial(ConvNet, norm="none"),
    "ConvNetBN": partial(ConvNet, norm="batch"),
    "ConvNetLN": partial(ConvNet, norm="layer"),
    "ConvNetIN": partial(ConvNet, norm="instance"),
    "ConvNetGN": partial(ConvNet, norm="group"),
    "ConvNetNP": partial(ConvNet, pooling="none"),
    "ConvNetMP": partial(ConvNet, pooling="max"),
    "ConvNetAP": partial(ConvNet, pooling="average"),
    "ConvNetASwishBN": partial(ConvNet, activation="swish", norm="batch"),
    "MLP": MLP,
    "LeNet": LeNet,
    "AlexNet": AlexNet,
    "AlexNetBN": partial(AlexNet, norm="batch"),
    "VGG11": VGG11,
    "VGG11BN": partial(VGG11, norm="batch"),
    "ResNet18": ResNet18,
    "ResNet18BN": partial(ResNet18, norm="batch"),
    "ResNet18_AP": partial(ResNet18, halving="pooling"),
    "ResNet18BN_AP": partial(ResNet18, norm="batch", halving="pooling"),
}


def build(arch: str, spec: Spec) -> Network:
    """Build a network. Its weights are not drawn yet: call `reset`.

    Args:
        arch: A name in NETWORKS.
        spec: The images and classes that it is for.

    Raises:
        InputError: An unknown name, or a Spec that the network cannot serve.
    """
    if arch not in NETWORKS:
        raise unknown("arch", arch, NETWORKS)
    with torch.random.fork_rng(devices=[]):  # PyTorch's layers draw from the global generator when they are made
        return NETWORKS[arch](spec)


def serving(archs: Sequence[str], spec: Spec) -> tuple[list[str], dict[str, str]]:
    """Return those of `archs` that serve `spec`, and for each of the others a message on why it does not."""
    refused: dict[str, str] = {}
    for arch in archs:
        try:
            with torch.device("meta"):
                build(arch, spec)
        except InputError as error:
            refused[arch] = str(error)
    return [arch for arch in archs if arch not in refused], refused


__all__ = ["NETWORKS", "OWN_POOLS", "POOLS", "ConvNet", "Network", "build", "pool_archs", "serving"]
