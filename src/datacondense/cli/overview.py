"""The help that lists commands or methods. It imports none of them."""

from collections.abc import Mapping

from rich.panel import Panel
from rich.table import Table

from .console import OUT, print_line


def print_overview(program: str, summary: str, known: Mapping[str, str], title: str) -> None:
    """Print the usage of `program`, and names with their summaries."""
    print_line(f"usage: {program} [-h] {{{','.join(known)}}}")
    print_line("")
    if summary:
        print_line(summary)
        print_line("")
    options = Table.grid(padding=(0, 2))
    options.add_row("-h, --help", "show this help message and exit")
    names = Table.grid(padding=(0, 2))
    for name, text in known.items():
        names.add_row(name, text)
    for heading, table in (("options", options), (title, names)):
        OUT.print(Panel(table, title=heading, title_align="left"))
