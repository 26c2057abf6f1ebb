"""The command `results`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ...experiments.results_page import best_records, render_page
from ...utils.atomic import write_bytes
from ...utils.errors import InputError
from ..console import print_json, print_line
from ..options import check_target


@dataclass(frozen=True, kw_only=True)
class Results:
    """Write the page of results: ours beside the published numbers, from the records of `reproduce`."""

    results: Path = Path("results")
    """Folder of the records."""
    out: Path = Path("docs/results.md")
    """The page to write, in Markdown."""
    json: Annotated[
        bool, tyro.conf.arg(help="Print the records of the page as JSON to stdout instead, and write no page.")
    ] = False

    def run(self) -> None:
        if not self.results.is_dir():
            raise InputError(f"--results {self.results}: there is no such directory; `datacondense reproduce` makes it")
        if self.json:
            print_json(best_records(self.results))
            return
        check_target("--out", self.out, ".md")
        write_bytes(self.out, render_page(self.results).encode())
        print_line(str(self.out))
