"""Text out of files: in a terminal, on a page, in the name of a file."""

import unicodedata
from pathlib import Path

import pytest
from rich.color import ColorSystem
from rich.table import Table

from datacondense.cli.console import ERR, OUT, print_error, print_line
from datacondense.cli.display import RunDisplay
from datacondense.cli.tables import show_table
from datacondense.utils.text import file_name, mean_std, percent_mean_std, printable

HOSTILE = (
    *("\x1b[2J", "\x1b]0;title\x07", "\x07", "\b\b", "\r", "\x00", "\x7f", "\x9b31m", "\x85", "a\nb", "\t"),
    *("\u202egnp", "\u2066", "\u200f", "\u200b", "\u2028", "\ufeff", "\ud800", "\U000e0041"),
)


def acts(text: str) -> list[str]:
    """The characters that a terminal obeys, or that turn the direction of writing."""
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c != "\n"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_a_terminal_would_obey_is_an_escape(text: str) -> None:
    assert not acts(printable(text))
    assert "\n" not in printable(text)


def test_words_of_any_script_stay() -> None:
    for text in ("T-shirt/top", "Kleid für Größe", "ドレス", "कि\u200c", "👩‍👧", "a\\x1b"):
        assert printable(text) == text


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_everything_that_is_printed_is_clean(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"begin{text}end"
    print_line(name)
    print_error(name)
    table = Table(name, "other", title=name, caption=name)
    table.add_row(name, "1")
    show_table(table)
    with RunDisplay(name) as display:
        display.message(name)
        display.step(1, 1, name, name)
    captured = capsys.readouterr()
    assert captured.out.count("begin") >= 6
    assert not acts(captured.out)
    assert not acts(captured.err)
    assert captured.err.count("\n") == 1


def test_bars_in_a_terminal_are_clean_and_keep_their_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for console in (OUT, ERR):
        monkeypatch.setattr(console, "_force_terminal", True)
        monkeypatch.setattr(console, "_color_system", ColorSystem.STANDARD)
    with OUT.capture() as capture:
        bar = RunDisplay("dm \x1b]0;mine\x07\u202e")
        OUT.print(bar.bar)
        OUT.print("\x1b[31mred", style="bold")
    text = capture.get()
    assert "\x1b]0;" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "\\x1b]0;mine\\x07\\u202e" in text
    assert "\x1b[1m" in text  # our own style
    assert "\\x1b[31mred" in text


@pytest.mark.parametrize(
    "text",
    [
        *("../../etc/passwd", "..", ".", "", "a/b", "a\\b", "/root", "CON", "nul.txt", "a\0b", "\x1b[2J", "x" * 400),
        *("é" * 300, "\ud800", " . ", "a:b", "~", "name.", "\u202e"),
    ],
    ids=ascii,
)
def test_a_name_of_a_file_leads_nowhere_else(text: str, tmp_path: Path) -> None:
    name = file_name(text)
    path = tmp_path / name
    assert path.resolve().parent == tmp_path.resolve()
    path.write_bytes(b"")
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert len(name.encode()) <= 100
    assert name.upper().split(".")[0] not in ("CON", "NUL", "PRN", "AUX")


def test_names_that_were_plain_stay_and_long_ones_stay_apart() -> None:
    assert file_name("dm-fashion-mnist-ipc10-seed0") == "dm-fashion-mnist-ipc10-seed0"
    assert file_name("x" * 200) != file_name("x" * 201)


def test_mean_and_deviation_have_the_same_digits() -> None:
    assert mean_std(12.345, 0.5) == "12.3 ± 0.5"
    assert mean_std(12.344, 0.5, digits=2) == "12.34 ± 0.50"
    assert mean_std(12.345, None) == mean_std(12.345, float("nan")) == "12.3"


def test_accuracies_are_shown_in_percent_with_their_sample_deviation() -> None:
    assert percent_mean_std([0.5, None, 0.6]) == "55.0 ± 7.1"  # sqrt(2 * 5 ** 2 / (2 - 1))
    assert percent_mean_std([0.5]) == "50.0"
    assert percent_mean_std([None], empty="-") == "-"
