"""JSON for other programs, quiet commands, plain tables, and the names that a completion script offers."""

import io
import json
from pathlib import Path

import pytest
from rich.table import Table

from datacondense import METHODS, NETWORKS
from datacondense.cli.app import main
from datacondense.cli.console import OUT, print_line
from datacondense.experiments.presets import PRESETS
from datacondense.networks import POOLS
from datacondense.utils.text import mean_std

QUICK = "condense random --data digits --ipc 1 --arch MLP --out run".split()


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], command: str) -> object:
    """The value that a command prints, and nothing else, to stdout."""
    capsys.readouterr()
    assert main(command.split()) == 0
    return json.loads(capsys.readouterr().out)


def test_lists_and_the_machine_as_json(capsys) -> None:
    methods = printed(capsys, "list methods --json")
    assert isinstance(methods, dict)
    assert [*methods] == ["auto", *METHODS]
    assert printed(capsys, "list archs --json") == list(NETWORKS)
    assert printed(capsys, "list pools --json") == {letter: list(archs) for letter, archs in POOLS.items()}
    presets = printed(capsys, "list presets --json")
    assert isinstance(presets, dict)
    assert presets["dm/fashion-mnist/1"]["title"] == PRESETS["dm/fashion-mnist/1"].title
    data = printed(capsys, "list data --json")
    assert isinstance(data, list)
    assert data[0] == "digits"
    machine = printed(capsys, "doctor --json")
    assert isinstance(machine, dict)
    assert {"torch", "processor", "memory"} <= machine.keys()


def test_scores_and_bytes_as_json(capsys) -> None:
    assert main(QUICK) == 0
    scores = printed(capsys, "evaluate run --nets 1 --epochs 1 --out s.json --json")
    assert scores == json.loads(Path("s.json").read_text())
    stored = printed(capsys, "storage run --json")
    assert isinstance(stored, dict)
    assert (stored["run"]["stored_images"], stored["run"]["images"]) == (10, 4 * 10 * 64)
    assert stored["run"]["total"] > stored["run"]["images"]


def test_results_as_json_write_no_page(capsys) -> None:
    Path("results").mkdir()
    assert printed(capsys, "results --json") == []
    assert not Path("docs").exists()


def test_quiet_prints_results_only(capsys) -> None:
    assert main([*QUICK, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main("evaluate run --nets 1 --epochs 1 --quiet".split()) == 0
    found = capsys.readouterr().out.splitlines()
    assert found[0].split() == "trained on images network test accuracy % n x epochs time".split()
    assert found[1].split()[:3] == ["random", "10", "MLP"]
    assert len(found) == 3  # with the caption
    assert main(["condense", "random", "--quiet", "--ipc", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([*QUICK[:-1], "again"]) == 0  # the next command of the process is not quiet
    assert "next: datacondense evaluate again --beside random" in capsys.readouterr().out


def test_piped_output_has_no_boxes(capsys) -> None:
    for command in ("--help", "condense --help"):
        with pytest.raises(SystemExit):
            main(command.split())
    assert main(["list", "methods"]) == 0
    found = capsys.readouterr().out
    assert "--version" in found
    assert not set("│┃─━╭╰┏└|") & set(found.replace("{", "").replace("|", ""))
    assert max(len(line.split("  ")) for line in found.splitlines() if line.startswith("krr ")) > 1


def test_the_options_that_count_come_first(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["condense", "dm", "--help"])
    found = capsys.readouterr().out
    places = [
        found.index(f"{flag} ") for flag in ("--data", "--ipc", "--image-size", "--out", "--time-budget", "--start")
    ]
    assert places == sorted(places)
    assert "(default: as many as pay, at most 20000)" in " ".join(found.replace("│", " ").split())


def test_completion_offers_names() -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--tyro-write-completion", "bash", "completion"])
    assert not stop.value.code
    script = Path("completion").read_text()
    for name in ("fashion-mnist", "ConvNetD5", "dm/fashion-mnist/1", "continual/cifar100/5/dm", "presets"):
        assert f'"{name}"' in script or f"'{name}'" in script, name


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "3.0 +- 1.0"), ("utf-8", "3.0 ± 1.0")])
def test_deviations_are_written_in_the_letters_of_the_terminal(encoding: str, shown: str, monkeypatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(OUT, "_file", terminal)
    table = Table("accuracy")
    table.add_row(mean_std(3.0, 1.0))
    OUT.print(table)
    print_line(mean_std(3.0, 1.0))
    terminal.flush()
    assert terminal.buffer.getvalue().decode(encoding).count(shown) == 2
