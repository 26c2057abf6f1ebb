"""The options on what commands print."""

from typing import Annotated, TypeAlias

import tyro

Quiet: TypeAlias = Annotated[
    bool, tyro.conf.arg(help="Print results, notes and errors only: no progress, no decisions, no next step.")
]
"""Help of --quiet."""
Json: TypeAlias = Annotated[
    bool, tyro.conf.arg(help="Print the result as JSON to stdout, and everything else to stderr.")
]
"""Help of --json."""
