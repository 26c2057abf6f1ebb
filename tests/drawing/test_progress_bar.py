"""A bar where somebody looks, and nothing where nobody does."""

import io
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from datacondense import condense, evaluate, label
from datacondense.drawing.progress_bar import Bar, Notebook, Terminal, progress_bar, surface
from datacondense.methods import DistributionMatching, Random

METHOD = DistributionMatching(iterations=3, batch_real=4, arch="ConvNetD1")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal at stderr, set in the test itself, as pytest sets stderr between fixture and test."""
    monkeypatch.setenv("TERM", "xterm-256color")
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What a notebook's cell shows, state by state."""
    shown: list[dict[str, str]] = []

    def display(made: dict[str, str], **_: Any) -> Any:
        shown.append(made)
        return SimpleNamespace(update=lambda made, raw: shown.append(made))

    ipython, part = ModuleType("IPython"), ModuleType("IPython.display")
    vars(ipython)["get_ipython"] = lambda: SimpleNamespace(kernel=object())
    vars(part)["display"] = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", part)
    return shown


def test_a_terminal_shows_iterations_and_epochs(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    made = condense(METHOD, toy(), 1)
    text = screen.getvalue()
    assert "dm toy ipc 1" in text
    assert "3/3  loss" in text
    screen.truncate(0)
    evaluate(made, toy(draw=1), nets=2, epochs=2)
    assert "evaluate" in screen.getvalue()
    assert "100%" in screen.getvalue()
    screen.truncate(0)
    label(made, toy(), moment=1.0, temperature=1.0, training_steps=2)
    assert "label" in screen.getvalue()


def test_progress_false_is_quiet(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    made = condense(METHOD, toy(), 1, progress=False)
    evaluate(made, toy(draw=1), nets=1, epochs=1, progress=False)
    evaluate(made, toy(draw=1), nets=1, epochs=1, progress=False, beside=["random"], train=toy())
    label(made, toy(), moment=1.0, temperature=1.0, training_steps=2, progress=False)
    assert screen.getvalue() == ""


def test_a_pipe_gets_nothing(toy, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(condense(METHOD, toy(), 1), toy(draw=1), nets=1, epochs=1)
    assert capsys.readouterr() == ("", "")
    assert surface() is None


def test_a_bar_changes_no_bit(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = condense(METHOD, toy(), 1)
    accuracy = evaluate(quiet, toy(draw=1), nets=2, epochs=2).accuracy
    terminal(monkeypatch)
    made = condense(METHOD, toy(), 1)
    assert made.fingerprint() == quiet.fingerprint()
    assert evaluate(made, toy(draw=1), nets=2, epochs=2).accuracy == accuracy


def test_a_notebook_shows_html_that_stays(toy, cell: list[dict[str, str]]) -> None:
    assert isinstance(surface(), Notebook)
    condense(METHOD, toy(), 1)
    assert '<progress value="1.0000" max="1">' in cell[-1]["text/html"]
    assert "3/3  loss" in cell[-1]["text/plain"]


def test_markup_in_a_name_is_text(cell: list[dict[str, str]]) -> None:
    with progress_bar("<b>bold</b>\x1b[31m") as bar:
        bar.step(1, 2, "<i>")
        bar.line("resumed")
    assert "&lt;b&gt;bold" in cell[-1]["text/html"]
    assert "\x1b" not in cell[-1]["text/html"]
    assert cell[-1]["text/html"].endswith("<br>resumed</div>")


def test_a_function_inside_another_shows_no_second_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    with progress_bar("outer") as outer:
        assert isinstance(outer.surface, Terminal)
        with progress_bar("inner") as inner:
            assert not inner.shown
    with progress_bar("off", wanted=False), progress_bar("inner") as inner:
        assert not inner.shown
    with progress_bar("again") as bar:
        assert bar.shown


def test_work_of_unknown_size_and_none_at_all_draw_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with progress_bar("idle"):
        pass
    assert screen.getvalue() == ""
    Bar("hidden", None).step(1, 0, "")
    Bar("hidden", None).line("nobody")


@pytest.mark.slow
def test_rich_is_not_imported_by_a_quiet_script() -> None:
    code = (
        "import sys, numpy as np, datacondense as dc\n"
        "real = dc.image_set(np.zeros((4, 8, 8), np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None] * 60,"
        " [0, 1, 0, 1], name='x', mean=[0.5], std=[0.25])\n"
        "dc.condense(dc.Random(), real, 1)\n"
        "print(sorted({'rich', 'matplotlib', 'pandas', 'IPython'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
    assert ran.stderr == ""


def test_selection_has_nothing_to_iterate(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    condense(Random(), toy(), 1)
    assert "Traceback" not in screen.getvalue()
