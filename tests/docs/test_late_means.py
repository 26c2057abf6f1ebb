"""The third method of docs/your-own-method.md: networks of real training, by `trajectories`."""

import re
from pathlib import Path

import shell

from datacondense import load_set
from datacondense.cli.app import main

PAGE = (Path(__file__).parents[2] / "docs" / "your-own-method.md").read_text()
FILE, COMMAND = re.findall(
    r"<!-- file: late_means.py -->\n```python\n(.*?)^```\n\n```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
)[0]


def test_the_method_on_the_page_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("late_means.py").write_text(FILE)
    (command,) = shell.commands(COMMAND)
    small = "--steps 5 --arch ConvNetD1 --compile off --iterations 3"
    assert main([*command.removeprefix("datacondense ").split(), *small.split()]) == 0
    provenance = load_set("runs/late").provenance
    assert provenance.iterations_done == 3
    assert provenance.training_seconds
