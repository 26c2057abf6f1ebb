"""Paths that are none: one line each, at once, and nothing is lost."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from datacondense import InputError, condense, load_set
from datacondense.cli.app import main
from datacondense.data.source import load
from datacondense.evaluation.score_log import saved_scores
from datacondense.methods import Random
from datacondense.report import write_report
from datacondense.utils.paths import named, resolved
from datacondense.utils.plugins import run_file

REFUSED = {
    "condense random --data digits --ipc 1 --out ''": "--out: its value is empty",
    "condense random --data digits --ipc 1 --out=": "--out: its value is empty",
    "condense dm --data digits --start ''": "--start: its value is empty",
    "evaluate ''": "an argument is empty",
    "evaluate good --figure ''": "--figure: its value is empty",
    "report bad\udcff": "is not UTF-8",
    "condense random --data digits --out a\0b": "is not UTF-8",
    "condense random --data digits --ipc 1 --out loop": "loop",
    "condense random --data digits --ipc 1 --out pipe": "pipe is a file: name a directory",
    "condense random --plugin pipe": "pipe: is a named pipe, not a file",
    "condense random --plugin dir": "dir: is a folder, not a file",
    "condense random --plugin loop": "loop is a link that leads to itself",
    "show good --out loop": "loop is a link that leads to itself",
    "show good --out dir": "--out dir: this is not a file: name a file",
    "report good --out pipe": "--out pipe: this is not a file: name a file",
    "report good --out loop": "loop is a link that leads to itself",
    "report good --figures loop": "loop",
    "evaluate good --out loop": "loop is a link that leads to itself",
    "evaluate good --figure pipe": "pipe: this is not a file",
    "export good --to folder loop": "loop is a link that leads to itself",
    "storage loop": "loop is a link that leads to itself",
    "evaluate pipe": "no synthetic set at pipe",
    "report piped-run": "run.json: is a named pipe, not a file",
    "report piped-log": "log.jsonl: is a named pipe, not a file",
    "report piped-scores": "scores.jsonl: is a named pipe, not a file",
    "evaluate piped-scores": "scores.jsonl: is a named pipe, not a file",
    "results --results piped-records --out page.md": "x.jsonl: is a named pipe, not a file",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("dir").mkdir()
    Path("loop").symlink_to("loop")
    condense(Random(arch="MLP"), load("digits")[0], 1, out="good", source={"source": "digits"})
    for name in ("run.json", "log.jsonl", "scores.jsonl"):
        copy = Path(f"piped-{name.partition('.')[0]}")
        shutil.copytree("good", copy)
        (copy / name).unlink(missing_ok=True)
        os.mkfifo(copy / name)
    Path("piped-records").mkdir()
    os.mkfifo("piped-records/x.jsonl")

    def hangs(_number: int, _frame: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(30)
    yield tmp_path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def words(command: str) -> list[str]:
    return ["" if word == "''" else word for word in command.split(" ")]


def test_paths_that_are_none_are_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for command, message in REFUSED.items():
        assert main(words(command)) == 2, command
        error = capsys.readouterr().err
        assert error.count("\n") == 1, command
        assert message in error, command
    assert not Path("runs").exists()


@pytest.mark.parametrize("path", ["", "a\0b", "a\ud800"], ids=ascii)
def test_python_functions_refuse_them_too(path: str, toy, tmp_path: Path) -> None:
    made = condense(Random(arch="MLP"), toy(), 1, out=tmp_path / "run")
    for call in (
        lambda: named(path),
        lambda: resolved(path),
        lambda: load_set(path),
        lambda: run_file(path),
        lambda: condense(Random(arch="MLP"), toy(), 1, out=path),
        lambda: write_report(tmp_path / "run", path),
    ):
        with pytest.raises(InputError):
            call()
    assert load_set(tmp_path / "run").fingerprint() == made.fingerprint()


def test_scores_in_a_pipe_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scores.jsonl")
    with pytest.raises(InputError, match="is a named pipe"):
        list(saved_scores(tmp_path))
