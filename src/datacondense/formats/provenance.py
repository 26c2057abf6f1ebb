"""What of a provenance passes between machines."""

from collections.abc import Mapping
from typing import Any

from ..data.source import DATASETS


def public(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """A provenance whose `source` is only the name of a named dataset, or None.

    Where data lie on a disk is told to nobody, and a file of others does not decide what is opened here.
    """
    source = provenance.get("source")
    if source is None:
        return dict(provenance)
    name = source.get("source")
    return {**provenance, "source": {"source": name} if name in DATASETS else None}
