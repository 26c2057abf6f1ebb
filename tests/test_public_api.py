"""The public names and their signatures are a contract, kept in public_api.txt."""

import re
from pathlib import Path

import public_api

import datacondense

ROOT = Path(__file__).parents[1]


def test_the_public_api_is_that_of_the_snapshot() -> None:
    """Change it on purpose: run tests/support/public_api.py and write its output to tests/public_api.txt."""
    assert list(public_api.lines()) == (ROOT / "tests/public_api.txt").read_text().splitlines()


def test_the_page_on_python_has_public_names_only() -> None:
    page = (ROOT / "docs/api.md").read_text()
    named = re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    assert len(named) > 30
    assert [name for name in named if name.removeprefix("datacondense.") not in dir(datacondense)] == []
