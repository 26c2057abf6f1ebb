"""The documentation: every command and every Python block runs here or in a test of its own, or says why not."""

import re
import shlex
from pathlib import Path

import pytest
import shell

from datacondense.cli.app import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md")])
ELSEWHERE = {
    "from-the-papers.md": "test_from_the_papers.py",
    "continual.md": "test_method_pages.py",
    "it-gan.md": "test_method_pages.py",
    "your-own-method.md": "../methods/test_plugins.py",
    "plugins.md": "../cli/test_plugin_files.py",
    "format.md": "test_format.py",
    "examples.md": "test_examples.py",
    "live.md": "../run/test_loggers.py",
    "sharing.md": "test_readme.py",
    "own-images.md": "test_own_images.py",
}
SMALL = {
    "--iterations": "2",
    "--batch-real": "8",
    "--training-steps": "2",
    "--trial-epochs": "1",
    "--nets": "1",
    "--epochs": "1",
    "--whole-epochs": "1",
    "--search-nets": "1",
    "--snapshots": "2",
    "--pool": "W",
    "--time-budget": "1s",
    "--updates": "2",
}
COMPUTING = ("condense", "evaluate", "rank")
_FILE = re.compile(r"^<!-- file: (\S+) -->\n^```(?:json|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"(<!-- not run by a test: [^\n]+ -->\n)?^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of the blocks that are to run."""
    return [(language, text) for spared, language, text in _BLOCK.findall(page.read_text()) if not spared]


def test_every_page_with_something_to_run_is_run() -> None:
    here = {page.name for page in PAGES if blocks(page)}
    assert {"tour.md", "dm.md", "report.md", "install.md", "evaluation.md"} <= here - ELSEWHERE.keys()
    for page, test in ELSEWHERE.items():
        assert page in (Path(__file__).parent / test).read_text(), f"{test} runs {page}"


@pytest.mark.filterwarnings("ignore:a batch of .* images per class:UserWarning", "ignore:.*AlexNet.*:UserWarning")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page) and page.name not in ELSEWHERE], ids=lambda page: page.stem
)
def test_a_page_runs(page: Path, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in _FILE.findall(page.read_text()):
        Path(name).write_text(re.sub(r'("epochs": )\d+', r"\g<1>1", text))
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, str(page), "exec"), {})
            continue
        for line in shell.commands(text):
            assert line.startswith("datacondense "), line
            words = shlex.split(line.partition(" > ")[0])[1:]
            words = [SMALL.get(flag, word) for flag, word in zip(["", *words], words, strict=False)]
            off = ["--compile", "off"] if words[0] in COMPUTING else []
            if words[0] == "evaluate" and not {"--epochs", "--recipe"} & set(words):
                off += ["--epochs", SMALL["--epochs"]]
            if {"--tyro-print-completion", "--help"} & set(words):
                with pytest.raises(SystemExit) as end:
                    main(words)
                assert not end.value.code
                continue
            assert main([*words, *off]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_no_figure_is_left_open() -> None:
    for page in PAGES:
        assert not re.search(r"@[A-Z]+@", page.read_text()), page
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name} leads to {link}"
