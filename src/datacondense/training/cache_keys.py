"""Keys of caches that depend on the code of networks and losses."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.losses import LOSSES
from ..networks import NETWORKS


def with_code(key: Mapping[str, Any], archs: Iterable[str], losses: Iterable[str] = ()) -> dict[str, Any] | None:
    """Return the key of a cache with the versions of the plug-ins that define its networks and losses.

    Args:
        key: What the result depends on, as JSON values.
        archs: Names of networks.
        losses: Names of losses.

    Returns:
        The key, unchanged where no plug-in defines any of them; None if one was entered from Python, whose code is
        unknown: its results are not to be cached.
    """
    found = {
        f"{registry.kind} {name}": registry.code(name)
        for registry, names in ((NETWORKS, archs), (LOSSES, losses))
        for name in names
    }
    if None in found.values():
        return None
    plugins = {name: code for name, code in found.items() if code}
    return {**key, "plugins": plugins} if plugins else dict(key)
