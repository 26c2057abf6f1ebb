"""Remove paths of this machine from a provenance before it passes to another."""

from ..data.registry import DATASETS
from ..synthetic.provenance import Provenance


def without_local_paths(provenance: Provenance) -> Provenance:
    """Return a provenance whose `source` is only the name of a named dataset, or None.

    Exports do not disclose where data lie on a disk, and an imported file does not decide what is opened here.
    """
    if not provenance.source:
        return provenance
    name = provenance.source.get("source")
    return provenance.changed(source={"source": name} if name in DATASETS else None)
