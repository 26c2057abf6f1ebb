"""The help that lists commands or methods. It imports none of them."""

from rich.panel import Panel
from rich.table import Table

from ..utils.registry import Registry
from .console import OUT, print_line


def print_overview(program: str, summary: str, registry: Registry, title: str) -> None:
    """Print the usage of `program`, and the names in a registry with their summaries."""
    known = registry.available()
    print_line(f"usage: {program} [-h] {{{','.join(known)}}}")
    print_line("")
    if summary:
        print_line(summary)
        print_line("")
    options = Table.grid(padding=(0, 2))
    options.add_row("-h, --help", "show this help message and exit")
    names = Table.grid(padding=(0, 2))
    for name in known:
        names.add_row(name, registry.summary(name))
    for heading, table in (("options", options), (title, names)):
        OUT.print(Panel(table, title=heading, title_align="left"))
