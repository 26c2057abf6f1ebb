"""The site: its menu, its formulas, and no file of another host."""

import re
import runpy
from pathlib import Path

import shell

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONFIG = (ROOT / "mkdocs.yml").read_text()
PAGES = sorted(DOCS.rglob("*.md"))
WIDTH = 80


def test_the_menu_has_every_page_under_its_own_title() -> None:
    entries = re.findall(r"^      - (.+)$", CONFIG.partition("\nnav:\n")[2], re.MULTILINE)
    assert sorted(entries) == [page.relative_to(DOCS).as_posix() for page in PAGES]
    titles = [page.read_text().splitlines()[0] for page in PAGES]
    assert all(title.startswith("# ") for title in titles)
    assert len(set(titles)) == len(titles)


def test_no_line_of_a_command_is_wider_than_a_page() -> None:
    wide = [
        f"{page.name}: {line}"
        for page in PAGES
        for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if len(line) > WIDTH
    ]
    assert wide == []


def test_a_folded_command_is_one_command() -> None:
    assert shell.commands("one --a 1 \\\n    --b 2\ntwo\n") == ["one --a 1      --b 2", "two"]


def test_the_options_of_commands_are_marked_and_nothing_else() -> None:
    hooks = runpy.run_path(str(ROOT / "mkdocs_hooks.py"))
    command = 'one<span class="w"> </span>--a-b<span class="w"> </span>c--d'
    marked = 'one<span class="w"> </span><span class="option">--a-b</span><span class="w"> </span>c--d'
    block = '<div class="language-{}"><pre>{}</pre></div>'
    page = block.format("console highlight", command) + block.format("python highlight", command)
    expected = block.format("console highlight", marked) + block.format("python highlight", command)
    assert hooks["on_page_content"](page) == expected
    assert "pygments_lang_class: true" in CONFIG  # the class that the hook and the style sheet look for


def test_the_site_loads_no_file_of_another_host() -> None:
    assert "font: false" in CONFIG
    loaded = re.findall(r"path: (\S+?)[,}]|extra_css: \[(.*)\]", CONFIG)
    assert len(loaded) == 3
    for path in (one or other for one, other in loaded):
        assert (DOCS / path).is_file()
    texts = [path.read_text() for path in (DOCS / "assets").rglob("*") if path.suffix in (".css", ".js")]
    assert all("@import" not in text for text in texts)
    addresses = [url for text in texts for url in re.findall(r"https?://[^\s\"')]+", text)]
    assert set(addresses) <= {"http://www.w3.org/1998/Math/MathML", "http://www.w3.org/2000/svg"}  # names, not files


def test_the_style_of_formulas_names_the_fonts_that_are_there() -> None:
    folder = DOCS / "assets/katex"
    named = re.findall(r"url\(([^)]+)\)", (folder / "katex.min.css").read_text())
    assert sorted(named) == sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.woff2"))
    assert (folder / "LICENSE").read_text().startswith("The MIT License")
