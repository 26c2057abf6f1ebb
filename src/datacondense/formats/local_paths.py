"""Remove folders of this machine from a provenance before it passes to another, or stands in a page."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ..data.registry import DATASETS
from ..synthetic.provenance import Provenance


def without_local_paths(provenance: Provenance) -> Provenance:
    """Return a provenance whose `source` is only the name of a named dataset, or None; files of plug-ins lose folders.

    Exports do not disclose where data lie on a disk, and an imported file does not decide what is opened here.
    """
    name = provenance.source.get("source")
    named = {"source": {"source": name} if name in DATASETS else None} if provenance.source else {}
    return _changed(provenance, named)


def without_folders(provenance: Provenance) -> Provenance:
    """Return a provenance to read: its `source` and the files of plug-ins keep the last part of each path."""
    source = dict(provenance.source)
    prefix, colon, place = str(source.get("source", "")).partition(":")
    if colon and source["source"] not in DATASETS and (prefix != "hub" or PurePath(place).is_absolute()):
        source["source"] = f"{prefix}:{PurePath(place).name}"
    if source.get("data_dir"):
        source["data_dir"] = PurePath(source["data_dir"]).name
    return _changed(provenance, {"source": source} if source else {})


def _changed(provenance: Provenance, changes: Mapping[str, Any]) -> Provenance:
    """Return a provenance with changes, whose files of plug-ins lose their folders."""
    plugin = {"plugin": _without_folder(provenance.plugin)} if provenance.plugin else {}
    others = {kind: _without_folder(origin) for kind, origin in provenance.plugins.items()}
    changes = {**changes, **plugin, **({"plugins": others} if others else {})}
    if provenance.labels.get("plugin"):
        changes |= {"labels": {**provenance.labels, "plugin": _without_folder(provenance.labels["plugin"])}}
    return provenance.changed(**changes) if changes else provenance


def _without_folder(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the origin of a plug-in with the bare name of its file."""
    return {**origin, "file": PurePath(origin["file"]).name} if origin.get("file") else dict(origin)
