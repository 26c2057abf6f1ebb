"""The plug-ins of a run: the record of their files and packages, and what has changed since."""

from collections.abc import Mapping
from typing import Any

from ..data.registry import DATASETS
from ..data.spec import Spec
from ..engine.losses import LOSSES
from ..methods import Method, plugins
from ..networks import NETWORKS
from ..synthetic.decoders import DECODERS


def plugins_of(method: Method, spec: Spec, ipc: int, source: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the entries `plugin` and `plugins` of the provenance, each only if there is any.

    Args:
        method: The method; its settings name a network, and a decoder as `form`.
        spec: Spec of the training images.
        ipc: Images of each class, on which the recipe of the method may depend.
        source: Arguments of `load` that gave the images.

    Returns:
        Origin of the method; origins of network, decoder, loss and data.
    """
    settings, recipe = method.settings(), method.recipe(spec, ipc)
    others = {
        "network": NETWORKS.origin(method.arch),
        "decoder": DECODERS.origin(str(settings.get("form"))),
        "loss": LOSSES.origin(recipe.loss) if recipe else None,
        "data": DATASETS.origin(str(source.get("source"))) if isinstance(source, Mapping) else None,
    }
    found = {"plugin": plugins.origin(type(method)), "plugins": {kind: one for kind, one in others.items() if one}}
    return {name: one for name, one in found.items() if one}


def changed(before: Mapping[str, Any], now: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Return the objects of a run that other code defines now; a file that was only moved is the same code.

    Args:
        before: Entries `plugin` and `plugins` of run.json. A version that recorded the method alone has no `plugins`.
        now: Entries of `plugins_of`.
        names: Names of the method and of the others, by their kind.
    """
    recorded = before.get("plugins") or {}
    pairs = {"method": (before.get("plugin"), now.get("plugin"))}
    pairs |= {kind: (one, now.get("plugins", {}).get(kind)) for kind, one in recorded.items() if kind != "data"}
    return [names.get(kind, kind) for kind, (was, is_) in pairs.items() if _code(was) != _code(is_)]


def _code(origin: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (origin or {}).items() if name != "file"}
