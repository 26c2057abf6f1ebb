"""Lines of prose in the README, CONTRIBUTING, CHANGELOG and the pages fit into 120 columns."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AT_ROOT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*AT_ROOT, *sorted((ROOT / "docs").rglob("*.md"))]
WIDTH = 120


def long_lines(text: str) -> list[str]:
    """Return the lines of prose that are too long: not of tables or code, with no URL, and with a place to break."""
    found, code = [], False
    for line in text.splitlines():
        start = line.lstrip()
        if start.startswith("```"):
            code = not code
        elif not (code or start.startswith("|") or "://" in line) and len(line) > WIDTH:
            found += [line] if " " in start.removeprefix("- ") else []
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_line_of_prose_is_too_long(page: Path) -> None:
    assert long_lines(page.read_text()) == []


def test_a_long_line_is_found_and_only_of_prose() -> None:
    fits, long = "word " * 23 + "words", "word " * 23 + "word's"
    assert (len(fits), len(long)) == (WIDTH, WIDTH + 1)
    assert long_lines(f"{fits}\n{long}\n\n- {fits}\n") == [long, f"- {fits}"]
    link = f"[page]({'a' * WIDTH}.md)"
    assert long_lines(f"| {long} |\n\n   | {long} |\n\n```console\n{long}\n```\n\n{link}\n- {link}\n") == []
    assert long_lines(f"{long} https://example.org\n\n```text\n```\n{long}\n") == [long]
