"""The public names and their signatures are a contract, kept in public_api.txt."""

import re
from pathlib import Path

import public_api

import datacondense

ROOT = Path(__file__).parents[1]


def test_the_public_api_is_that_of_the_snapshot() -> None:
    """Change it on purpose: run tests/support/public_api.py and write its output to tests/public_api.txt."""
    assert list(public_api.lines()) == (ROOT / "tests/public_api.txt").read_text().splitlines()


def test_the_page_on_python_has_all_public_names_and_no_others() -> None:
    page = (ROOT / "docs/api.md").read_text()
    named = re.findall(r"^::: datacondense\.(\S+)$", page, re.MULTILINE)
    assert len(named) == len(set(named))
    of_methods = [name.removeprefix("methods.") for name in named if name.startswith("methods.")]
    assert set(of_methods) <= set(dir(datacondense.methods)) - set(dir(datacondense))
    assert {name for name in named if "." not in name} == set(dir(datacondense)) - {"__version__", "methods"}
