"""What of a provenance passes between machines."""

from ..data.source import DATASETS
from ..synthetic.provenance import Provenance


def public(provenance: Provenance) -> Provenance:
    """A provenance whose `source` is only the name of a named dataset, or None.

    Where data lie on a disk is told to nobody, and a file of others does not decide what is opened here.
    """
    if not provenance.source:
        return provenance
    name = provenance.source.get("source")
    return provenance.changed(source={"source": name} if name in DATASETS else None)
