"""Facts on how a set was made, in words."""

from collections.abc import Mapping
from typing import Any

from ..utils.timing import duration
from . import footprint
from .number_text import ratio, share, size
from .reading import Run


def facts(run: Run) -> dict[str, str]:
    """Return name -> fact, without those that are not known."""
    provenance, stored = run.provenance, run.storage
    iterations = provenance.settings.get("iterations")
    found = {
        "method": str(provenance.method),
        "data": provenance.data or "",
        "images": f"{len(run.synthetic):,}, {run.synthetic.per_class} per class",
        **_form(run),
        "stored": f"{size(stored.total)} ({stored.form})"
        + (f"; as PNG files {size(stored.png)}" if stored.png else ""),
        "bytes": _parts(stored),
        "size": _ratios(stored),
        "iterations": "" if iterations is None else f"{provenance.iterations_done} of {iterations}",
        "time": run.condensing_time,
        "of that, training networks": duration(provenance.training_seconds) if provenance.training_seconds else "",
        "status": "" if run.status in ("", "complete") else run.status,
        "seed": "" if provenance.seed is None else str(provenance.seed),
        "method from": _from(provenance.plugin),
        **{f"{kind} from": _from(origin) for kind, origin in provenance.plugins.items()},
        "machine": "" if provenance.machine is None else provenance.machine,
        "versions": ", ".join(f"{name} {version}" for name, version in provenance.versions.items()),
        "imported from": provenance.imported.get("file", ""),
    }
    return {name: value for name, value in found.items() if value}


def _from(origin: Mapping[str, Any]) -> str:
    """Return the file or the package of a plug-in."""
    return str(origin.get("file") or origin.get("package", ""))


def _form(run: Run) -> dict[str, str]:
    """Return the facts in which a set differs from one of pixels with hard labels and the published recipe."""
    made, stored = run.synthetic, run.storage
    found = {}
    if stored.training_images != stored.stored_images:
        views = f"{stored.training_images / stored.stored_images:.3g}"
        found["decoder"] = f"{views} training images in the room of one, all in that of {stored.stored_images:,}"
    if made.soft:
        found["labels"] = f"soft: {made.spec.classes:,} numbers for each image{_teacher(run)}"
    if made.recipe:
        words = made.recipe.to_json().items()
        found["recipe"] = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in words)
    return found


def _teacher(run: Run) -> str:
    """Return the teacher that labelled a set, in words; empty if none did."""
    record = run.provenance.labels
    if not record:
        return ""
    moment = f", moment {record['moment']:g}" if "moment" in record else ""
    return f", of a teacher ({record['teacher']}, {record['arch']}{moment}, temperature {record['temperature']:g})"


def _parts(stored: footprint.Footprint) -> str:
    """Return the bytes of each part, in words."""
    parts = {
        "images": stored.images,
        "generator" if stored.decoder == footprint.LATENTS else "masks and ranges": stored.shared,
        "labels": stored.labels,
        "mean and std": stored.statistics,
    }
    return ", ".join(f"{name} {count:,}" for name, count in parts.items() if count)


def _ratios(stored: footprint.Footprint) -> str:
    """Return the three ratios of size, in words."""
    images = f"{stored.stored_images:,} image{'s' if stored.stored_images > 1 else ''}"
    whole = f", {share(stored.to_whole)} of the whole training set in uint8" if stored.to_whole else ""
    return f"{ratio(stored.to_uint8)} times {images} in uint8, {ratio(stored.to_float32)} times in float32{whole}"
