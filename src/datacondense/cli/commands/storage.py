"""The command `storage`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table

from ...report.footprint import Footprint, measure
from ...report.number_text import ratio, share
from ...report.run_names import check_named_once, path_names
from ...synthetic.generated import LATENTS
from ...synthetic.set import load_set
from ...utils.errors import InputError
from ..console import print_json
from ..output_options import Json
from ..plugin_option import Plugins
from ..tables import show_table

_COLUMNS = (
    "set",
    "stored as",
    "training images",
    "stored images n",
    "images",
    "once",
    "labels",
    "mean, std",
    "total",
    "x uint8",
    "x float32",
    "of whole set",
    "PNG",
)
_CAPTION = (
    "bytes; once: generator, masks, ranges; x: total over that of n images as uint8 or float32; of whole set: over all "
    "real training images as uint8; PNG: every training image as a file"
)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Print every byte that condensed sets take, beside that of images as uint8, float32 and PNG files."""

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories of `condense` and `import`, or synthetic.safetensors files."""
    json: Json = False
    plugin: Plugins = ()

    def run(self) -> None:
        if not self.run_dirs:
            raise InputError("name a run, before the options: datacondense storage RUN")
        check_named_once(self.run_dirs)
        footprints = {
            name: measure(load_set(path)) for name, path in zip(path_names(self.run_dirs), self.run_dirs, strict=True)
        }
        if self.json:
            print_json({name: _values(one) for name, one in footprints.items()})
            return
        generators = any(one.decoder == LATENTS for one in footprints.values())
        table = Table(caption=_CAPTION)
        for column in (*_COLUMNS, *(["below PNG from"] if generators else [])):
            table.add_column(column)
        for name, one in footprints.items():
            table.add_row(name, *_cells(one), *([_pays(one)] if generators else []))
        show_table(table)


def _values(one: Footprint) -> dict[str, Any]:
    """Return bytes and ratios of a set by name."""
    return {
        **asdict(one),
        "total": one.total,
        "to_uint8": one.to_uint8,
        "to_float32": one.to_float32,
        "to_whole": one.to_whole,
    }


def _cells(one: Footprint) -> list[str]:
    """Return the cells of a set, without its name."""
    images = (one.training_images, one.stored_images)
    numbers = (one.images, one.shared, one.labels, one.statistics, one.total)
    return [
        one.form,
        *(f"{number:,}" for number in (*images, *numbers)),
        ratio(one.to_uint8),
        ratio(one.to_float32),
        share(one.to_whole) or "-",
        f"{one.png:,}",
    ]


def _pays(one: Footprint) -> str:
    """Return the number of images from which latents are smaller than PNG files, in words."""
    if one.decoder != LATENTS:
        return "-"
    return f"{one.pays_from:,} images" if one.pays_from else "never"
