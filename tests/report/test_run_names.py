"""What tells sets apart, and what does not."""

from pathlib import Path

import pytest

from datacondense import InputError
from datacondense.report.run_names import check_named_once, labels, path_names
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


@pytest.mark.parametrize("name", ["steps", "data", "ipc", "start", "memory"])
def test_a_setting_with_the_name_of_another_fact_counts(name: str) -> None:
    one, other = (MADE.changed(settings={"lr": 1.0, name: value}) for value in (5, 10))
    assert labels([one, other]) == [f"dm setting {name} 5", f"dm setting {name} 10"]


def test_other_labels_and_other_files_are_other_experiments() -> None:
    labelled = {"teacher": "real", "moment": 1.0, "temperature": 1.0, "steps": 500, "arch": "MLP"}
    one = MADE.changed(labels=labelled)
    for entry in ({"views": 20}, {"mix": "cutmix"}, {"top_k": 1}, {"steps": 2500}, {"lr": 0.05}, {"arch": "ConvNet"}):
        assert len(set(labels([one, MADE.changed(labels={**labelled, **entry})]))) == 2, entry
    same = {"seed": 1, "seconds": 3.0, "trials": [{"accuracy": 0.5}], "held_out": 3, "classes": [[0, 2]]}
    assert len(set(labels([one, MADE.changed(labels={**labelled, **same})]))) == 1
    assert labels([one, MADE.changed(labels={**labelled, "views": 20})]) == ["dm", "dm labels views 20"]
    file = {"file": "data.npz", "sha256": "ab" * 32, "sets": 2, "pixels": {"taken_for": "unit"}}
    imported = Provenance(method="imported", imported=file)
    for entry in ({"sha256": "cd" * 32}, {"factor": 2}, {"pixels": {"taken_for": "bytes"}}, {"file": "other.npz"}):
        other = Provenance(method="imported", imported={**file, **entry})
        assert len(set(labels([imported, other]))) == 2, entry
    assert labels([imported, imported.changed(seed=1)]) == ["imported", "imported"]
    exported = MADE.changed(imported=file), MADE.changed(seed=1, imported={**file, "sha256": "cd" * 32})
    assert labels(exported) == ["dm", "dm"]


def test_a_run_is_named_once() -> None:
    with pytest.raises(InputError, match=r"x/\.\./a is named twice: name it once"):
        check_named_once([Path("x/../a"), Path("b"), Path("a")])
    check_named_once([Path("a"), Path("b/a")])


def test_runs_are_named_by_their_directory_where_that_is_enough() -> None:
    assert path_names([Path("runs/a"), Path("runs/b")]) == ["a", "b"]
    assert path_names([Path("x/a"), Path("y/a")]) == ["x/a", "y/a"]
    assert path_names([Path("/home/me/x/a"), Path("/home/me/y/a")]) == ["x/a", "y/a"]
    assert path_names([Path("/home/me/x/a/1"), Path("/home/me/y/a/1"), Path("b")]) == ["x/a/1", "y/a/1", _tail("b")]


def _tail(name: str) -> str:
    return "/".join(Path(name).resolve().parts[-3:])
