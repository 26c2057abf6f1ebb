"""The help that lists commands or methods. It imports none of them."""

from collections.abc import Mapping

from rich.panel import Panel
from rich.table import Table

from .console import OUT, print_line


def print_overview(
    program: str, summary: str, known: Mapping[str, str], title: str, options: Mapping[str, str] | None = None
) -> None:
    """Print the usage of `program`, its options, and names with their summaries; plain where it is piped."""
    flags = {"-h, --help": "show this help message and exit", **(options or {})}
    print_line(f"usage: {program} [{'] ['.join(flag.split(', ')[0] for flag in flags)}] {{{','.join(known)}}}")
    print_line("")
    if summary:
        print_line(summary)
        print_line("")
    for heading, rows in (("options", flags), (title, known)):
        if not OUT.is_terminal:
            width = max(map(len, rows))
            for line in (f"{heading}:", *(f"  {name:<{width}}  {text}" for name, text in rows.items()), ""):
                print_line(line)
            continue
        table = Table.grid(padding=(0, 2))
        for name, text in rows.items():
            table.add_row(name, text)
        OUT.print(Panel(table, title=heading, title_align="left"))
