"""Weights of a teacher: read from a file, and loaded into a network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from torch import Tensor

from .. import networks
from ..data.readers.pickles import read_torch
from ..data.spec import Spec
from ..engine.engine import Engine
from ..networks import Network
from ..utils.errors import DamagedFile, DataNotFound, InputError, naming, reason
from ..utils.paths import named, regular

_WRAPPED = "module."
"""Begins the names of the weights of a module inside another: in nn.DataParallel, or of a network of a plug-in."""
_NESTED = ("state_dict", "model_state_dict", "model", "network")
"""Names under which training scripts store a state dict among other things."""
_RANDOMNESS = "randomness"
"""Buffer of a module that draws numbers in training, which a file of the user lacks."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the state dict in a file, without running code in it.

    Args:
        path: A file of torch.save that holds a state dict, or a dict with one as state_dict or model; or a
            .safetensors file of tensors.

    Returns:
        Name -> tensor, on the CPU.

    Raises:
        DataNotFound: There is no such file.
        InputError: It holds no weights.
    """
    path = named(path)
    if not path.exists():
        raise DataNotFound(f"there is no teacher at {path}: give real, a run directory, or a file of weights")
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(regular(path))  # pyright: ignore[reportUnknownMemberType]
        except (OSError, InputError):
            raise
        except Exception as error:  # safetensors raises errors of several types on wrong bytes
            raise DamagedFile(f"{path} is damaged or not a safetensors file ({reason(error)})") from None
    found: Any = read_torch(regular(path))
    entries: dict[Any, Any] = cast("dict[Any, Any]", found) if isinstance(found, dict) else {}
    inner = next((entries[name] for name in _NESTED if isinstance(entries.get(name), dict)), entries)
    weights = {str(name): one for name, one in inner.items() if isinstance(one, Tensor)}
    if not weights:
        raise InputError(f"{path} holds no weights: save network.state_dict() with torch.save")
    return weights


def loaded(arch: str, spec: Spec, weights: Mapping[str, Tensor], engine: Engine) -> Network:
    """Return a frozen network with given weights, in evaluation mode, prepared by an engine.

    Args:
        arch: A name in NETWORKS.
        spec: The images and classes that it is for.
        weights: Name -> tensor of its state; a prefix `module.` may be missing, or be there in addition.
        engine: Runs the network.

    Raises:
        InputError: The weights are not those of this network.
    """
    network = engine.prepare(networks.build(arch, spec))
    with naming(f"network {arch}"):
        network.load_state_dict(_fitted(network.state_dict(), weights))
    return network.requires_grad_(False).eval()


def _fitted(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under the names of a network, in its dtypes. Raises InputError for others."""
    left, fitted = dict(weights), dict[str, Tensor]()
    for name, tensor in own.items():
        names = (name, f"{_WRAPPED}{name}", name.removeprefix(_WRAPPED))
        found = next((left.pop(one) for one in names if one in left), tensor if name == _RANDOMNESS else None)
        if found is None:
            raise InputError(f"the weights lack {name}: name the architecture that they belong to with --arch")
        if found.shape != tensor.shape:
            shapes = f"{tuple(found.shape)}, expected {tuple(tensor.shape)}"
            raise InputError(f"the weights {name} have shape {shapes}: name their architecture with --arch")
        if found.is_floating_point() and not bool(torch.isfinite(found).all()):
            raise InputError(f"the weights {name} are not finite: give those of another training")
        fitted[name] = found.to(tensor.dtype)
    if left:
        raise InputError(f"the weights {next(iter(left))} belong to another network: name it with --arch")
    return fitted
