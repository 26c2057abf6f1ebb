"""`condense auto` as a user sees it: lines on the choice, a dry run, a number of bytes, one-line errors."""

import re
from pathlib import Path

import pytest

from datacondense import load_set
from datacondense.cli.app import main
from datacondense.cli.options import size
from datacondense.report.footprint import measure
from datacondense.utils.errors import InputError

QUICK = "condense auto --data digits --arch ConvNetD1 --compile off".split()


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_choice_is_explained_and_its_set_is_evaluated(capsys) -> None:
    assert main([*QUICK, "--bytes", "8k", "--candidates", "1", "--time-budget", "2s"]) == 0
    lines = capsys.readouterr().out.splitlines()
    run = Path("runs/auto-digits-8000bytes-seed0")
    for start in (
        "candidates for a few tiny images per class: pixels",
        "candidate pixels, 12 per class: ",
        "no race: there is one candidate",
        "chosen: pixels, 12 per class, ",
        "120 images from 1437 in ",
        f"next: datacondense evaluate {run}",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, start
    made = load_set(run)
    assert 0 < measure(made, png=False).total <= 8000
    assert made.provenance.auto["bytes"] == 8000
    assert main(["condense", "auto", *QUICK[2:], "--bytes", "8k", "--candidates", "1", "--resume"]) == 0
    made = load_set(run).provenance  # complete, even where the time has stopped it before
    assert made.iterations_done == made.settings["iterations"]
    assert main(f"evaluate {run} --nets 1 --epochs 2".split()) == 0


def test_a_dry_run_writes_nothing(capsys) -> None:
    assert main([*QUICK, "--ipc", "1", "--dry-run", "--time-budget", "10m", "--candidates", "2"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^pixels: [\d:]+ for 400 iterations of ", output, re.MULTILINE)
    assert "race: " in output
    assert "would be written to runs/auto-digits-ipc1-seed0" in output
    assert not list(Path().iterdir())


def test_it_is_listed_and_has_help(capsys) -> None:
    assert main(["list", "methods"]) == 0
    assert "auto" in capsys.readouterr().out.splitlines()[1]
    with pytest.raises(SystemExit):
        main(["condense", "--help"])
    assert "auto" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--bytes 8x", "--bytes 8x: give a number of bytes such as 8000, 8k or 1.5M"),
        ("--bytes 8k --ipc 1", "--ipc and --bytes exclude each other: use one"),
        ("--bytes 100", "--bytes 100 is not enough for one image of each class: give more"),
        ("--bytes 8k --drop-small-classes", "--drop-small-classes needs --ipc"),
        ("--time-budget soon", "--time-budget soon: give a time such as 90s"),
        ("--candidates 0", "--candidates 0: must be at least 1"),
        ("--arch ConvNetD9", "unknown arch 'ConvNetD9'"),
        ("--iterations 3", "unknown option '--iterations'"),
    ],
)
def test_errors_are_one_line(words: str, message: str, capsys) -> None:
    assert main(["condense", "auto", *words.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(Path().iterdir())


def test_sizes() -> None:
    assert [size("--bytes", text) for text in ("800", "8k", "8kB", "1.5M", "2GB")] == [
        800,
        8000,
        8000,
        1500000,
        2 * 10**9,
    ]
    with pytest.raises(InputError):
        size("--bytes", "0")
