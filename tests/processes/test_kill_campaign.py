"""Many runs are killed, and many processes meet in one place: nothing is lost without a word."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = Path(__file__).parents[1] / "support" / "campaign.py"
_METHODS = ("random", "herding", "k-center", "dm", "dc", "dsa", "it-gan")


def campaign(*words: object) -> dict[str, Any]:
    command = [sys.executable, str(_SCRIPT), *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_run_killed_at_any_moment_and_resumed_equals_one_that_was_not(tmp_path) -> None:
    """At least 100 kills over seven methods: before each rename, and at random moments."""
    made = campaign("kills", 1, *_METHODS, 5, tmp_path)
    assert made["failures"] == []
    assert sum(made["kills"].values()) >= 100


@pytest.mark.slow
def test_two_processes_in_one_place_lose_nothing_silently(tmp_path) -> None:
    made = campaign("pairs", 1, 24, tmp_path)
    assert made["failures"] == []
