"""The option --plugin of every command that names an object of a registry, or reads a set."""

from pathlib import Path
from typing import Annotated, TypeAlias

import tyro

Plugins: TypeAlias = Annotated[
    tuple[Path, ...],
    tyro.conf.arg(
        metavar="FILE.py",
        help="Run this file first and register what it defines: methods, networks, decoders, losses, data sets; may be "
        "repeated, anywhere on the line.",
    ),
]
"""Help of --plugin, which is removed from the arguments before they are parsed."""
