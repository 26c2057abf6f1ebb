"""The command `storage`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from ...report import footprint
from ...report.run_names import path_names
from ...synthetic.set import load_set
from ...utils.errors import InputError
from ..plugin_option import Plugins
from ..tables import show_table


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Print the size of condensed sets, generators included, beside that of 8-bit pixels and PNG files."""

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories of `condense` and `import`, or synthetic.safetensors files."""
    plugin: Plugins = ()

    def run(self) -> None:
        if not self.run_dirs:
            raise InputError("name a run, before the options: datacondense storage RUN")
        footprints = {
            name: footprint.measure(load_set(path))
            for name, path in zip(path_names(self.run_dirs), self.run_dirs, strict=True)
        }
        table = Table(caption="bytes; uint8 and PNG: what the same images take as pixels of 8 bits, as a file each")
        columns = ("set", "images", "stored as", "each", "generator", "total", "uint8", "PNG", "below PNG from")
        for column in columns:
            table.add_column(column)
        for name, one in footprints.items():
            pays = "-" if not one.shared else f"{one.pays_from:,} images" if one.pays_from else "never"
            numbers = (one.images // one.count, one.shared, one.total, one.uint8, one.png)
            table.add_row(name, f"{one.count:,}", one.form, *(f"{number:,}" for number in numbers), pays)
        show_table(table)
