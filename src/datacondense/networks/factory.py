# pyright: reportUnknownMemberType=false
"""Build networks by name."""

from collections.abc import Sequence
from functools import partial

import torch

from ..data.spec import Spec
from ..utils.errors import InputError, unknown
from ..utils.streams import global_draws
from .base import Network
from .module import ModuleNetwork
from .registry import NETWORKS
from .sizes import resolved


def build(arch: str, spec: Spec) -> Network:
    """Build a network. Its weights are not drawn yet: call `reset`.

    Args:
        arch: A name in NETWORKS, or auto for the one that suits the size of the images.
        spec: The images and classes that it is for.

    Raises:
        InputError: An unknown name, a Spec whose images the network cannot take, or a module that is no network.
    """
    arch = resolved(arch, spec)
    if arch not in NETWORKS:
        raise unknown("arch", arch, NETWORKS, plugins=True)
    make = NETWORKS[arch]
    with global_draws():
        network = make(spec)
        return network if isinstance(network, Network) else ModuleNetwork(partial(make, spec), spec, arch)


def serving(archs: Sequence[str], spec: Spec) -> tuple[list[str], dict[str, str]]:
    """Return those of `archs` that can take images of `spec`, and a message with the reason for each of the others."""
    refused: dict[str, str] = {}
    for arch in archs:
        try:
            with torch.device("meta"):
                build(arch, spec)
        except InputError as error:
            refused[arch] = str(error)
    return [arch for arch in archs if arch not in refused], refused
