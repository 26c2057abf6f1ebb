"""Several processes make one choice, and one set."""

import json
from pathlib import Path

import pytest
from torchrun import run

from datacondense import load_set


@pytest.mark.processes
def test_several_processes_agree_on_one_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = "condense auto --data digits --ipc 1 --arch ConvNetD1 --candidates 2 --device cpu --compile off"
    printed = run(2, f"{words} --time-budget 60s --out run").splitlines()
    assert sum(line.startswith("chosen: ") for line in printed) == 1
    recorded = json.loads(Path("run/run.json").read_text())
    assert recorded["status"] == "complete"
    assert load_set("run").provenance.auto == recorded["auto"]
    assert recorded["auto"] == json.loads(Path("run/auto.json").read_text())["choice"]
