"""Remove paths of this machine from a provenance before it passes to another."""

from collections.abc import Mapping
from typing import Any

from ..data.source import DATASETS


def without_local_paths(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provenance whose `source` is only the name of a named dataset, or None.

    Exports do not disclose where data lie on a disk, and an imported file does not decide what is opened here.
    """
    source = provenance.get("source")
    if source is None:
        return dict(provenance)
    name = source.get("source")
    return {**provenance, "source": {"source": name} if name in DATASETS else None}
