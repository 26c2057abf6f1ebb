"""Registries: lazy objects, further ones, copies, and those of installed packages."""

import subprocess
import sys
from pathlib import Path

import pytest

from datacondense import METHODS, NETWORKS, InputError
from datacondense.utils.registry import Entry, Registry, check_name, first_line


@pytest.fixture
def registry() -> Registry:
    return Registry("json.x", {"dumps": Entry("encoder:JSONEncoder", "Extensible", skipkeys=True)}, kind="thing")


def test_a_registry_takes_further_objects(registry: Registry) -> None:
    assert registry["dumps"]().skipkeys
    registry["more"] = Registry
    assert list(registry) == ["dumps", "more"]
    assert registry.summary("more") == first_line(Registry)
    assert registry.name_of(Registry) == "more"
    assert registry.name_of(object()) is None
    del registry["dumps"]
    assert "dumps" not in registry
    with pytest.raises(KeyError):
        registry["dumps"]


def test_a_copy_changes_alone(registry: Registry) -> None:
    other = registry.copy()
    other["more"] = 1
    del other["dumps"]
    assert list(registry) == ["dumps"]
    assert list(other) == ["more"]
    assert NETWORKS.copy()["MLP"] is NETWORKS["MLP"]


def test_the_right_side_of_a_union_wins(registry: Registry) -> None:
    both = registry | {"dumps": 1, "more": 2}
    assert isinstance(both, Registry)
    assert dict(both) == {"dumps": 1, "more": 2}
    other = {"dumps": 1, "more": 2} | registry
    assert other["dumps"]().skipkeys
    assert other["more"] == 2
    assert list(registry) == ["dumps"]
    same = registry
    registry |= {"more": 3}
    assert registry is same
    assert registry["more"] == 3


def test_its_text_has_the_names() -> None:
    assert repr(METHODS).startswith("<registry, method: dc, dsa, dm, ")


def test_an_added_object_keeps_its_origin(registry: Registry) -> None:
    registry.add("mine", registry.checked("mine", 1), {"file": "a.py"})
    assert registry.origin("mine") == {"file": "a.py"}
    assert registry.copy().origin("mine") == {"file": "a.py"}
    registry["mine"] = 2
    assert registry.origin("mine") is None
    with pytest.raises(InputError, match="there is already a thing dumps: choose another name"):
        registry.checked("dumps", 1)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "-a", "a:b", "é", "x" * 101, 3, "a\n"])
def test_names_that_no_command_line_can_hold(name: object) -> None:
    with pytest.raises(InputError, match="cannot be the name of a thing"):
        check_name("thing", name)


THEIRS = """
from datacondense import load
from torch import nn
def small(spec):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, spec.classes))
def digits_again(data_dir):
    return load("digits")
"""
POINTS = """
[datacondense.networks]
small = theirs:small
MLP = theirs:small
bad name = theirs:small
number = theirs:__name__
[datacondense.data]
digits-again = theirs:digits_again
broken = theirs:absent
"""
CODE = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import datacondense as dc
from datacondense.data.registry import DATASETS
with warnings.catch_warnings(record=True) as noted:
    assert "small" in dc.NETWORKS and "torch" not in sys.modules
print(*(str(one.message) for one in noted), sep="\\n")
assert dc.NETWORKS.origin("MLP") is None
made = dc.condense(dc.Random(arch="small"), dc.load("digits-again")[0], 1)
assert made.spec.name == "digits"
assert dc.NETWORKS.origin("small") == {"package": "theirs", "version": "1.0"}
for registry, name in ((DATASETS, "broken"), (dc.NETWORKS, "number")):
    try:
        registry[name]
    except dc.InputError as error:
        print(error)
with warnings.catch_warnings(record=True) as noted:
    assert "broken" not in DATASETS.available()
print(*(str(one.message) for one in noted), sep="\\n")
"""


def test_objects_of_installed_packages_are_imported_when_they_are_looked_up(tmp_path: Path) -> None:
    """A real package, as pip leaves it, in a process of its own."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (tmp_path / "theirs.py").write_text(THEIRS)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    done = subprocess.run([sys.executable, "-c", CODE, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *notes, broken, number, left = done.stdout.splitlines()
    assert sorted(notes) == [
        "theirs:small of an installed package is left out: 'bad name' cannot be the name of a network: take letters, "
        "digits, - and _, at most 100",
        "theirs:small of an installed package is left out: there is already a network MLP",
    ]
    assert broken.startswith("data set 'broken' (theirs:absent) cannot be loaded: ")
    assert left == broken
    assert number == (
        "network 'number' (theirs:__name__) cannot be loaded: network number is of type str: write a function of (spec)"
    )
