"""What tells sets apart, and what does not."""

from pathlib import Path

from datacondense.report.run_names import labels, path_names
from datacondense.synthetic.provenance import Provenance

MADE = Provenance(method="dm", settings={"lr": 1.0}, data="digits", ipc=1, seed=0, iterations_done=5)


def test_sets_that_differ_by_their_seed_only_have_one_name() -> None:
    assert labels([MADE, MADE.changed(seed=1, wall_seconds=3.0)]) == ["dm", "dm"]


def test_whatever_else_differs_is_another_experiment() -> None:
    others = [
        MADE.changed(start={"sha256": "abcdefghijk"}),
        MADE.changed(plugin={"file": "a.py", "sha256": "123456789"}),
        MADE.changed(memory="dm", steps=[["0"], ["1"]]),
        MADE.changed(settings={"lr": 2.0}),
        MADE.changed(iterations_done=4),
        MADE.changed(labels={"teacher": "real", "moment": 0.25, "temperature": 2.0}),
    ]
    for other in others:
        assert len(set(labels([MADE, other]))) == 2, other
    assert labels([MADE, others[0]]) == ["dm", "dm start abcdefgh"]
    assert labels([MADE, others[-1]]) == ["dm", "dm labels real 0.25 T 2"]


def test_runs_are_named_by_their_directory_where_that_is_enough() -> None:
    assert path_names([Path("runs/a"), Path("runs/b")]) == ["a", "b"]
    assert path_names([Path("x/a"), Path("y/a")]) == ["x/a", "y/a"]
