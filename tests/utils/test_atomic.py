"""What killed processes leave, what living ones are writing, and destinations that change under an export."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from datacondense import InputError
from datacondense.utils.atomic import new_directory, new_file, restore_replaced, sweep, write_bytes
from datacondense.utils.file_owner import Owner, current_owner, parse_tag


def dead() -> Owner:
    """An owner that has just ended."""
    process = os.fork()
    if not process:
        os._exit(0)
    os.waitpid(process, 0)
    return Owner(process, 1, current_owner().host)


def in_child(work: Callable[[], None]) -> None:
    """Run `work` in a process that is killed where `work` says so."""
    process = os.fork()
    if not process:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitpid(process, 0)[1] == 9


def test_a_tag_names_its_process() -> None:
    assert parse_tag(current_owner().tag) == current_owner()
    assert not current_owner().dead
    assert dead().dead
    assert Owner(
        os.getpid(), current_owner().started + 1, current_owner().host
    ).dead  # an earlier process of the same number
    assert not Owner(dead().pid, 1, "0" * 8).dead  # of another machine: nobody knows
    assert parse_tag("README") is None


def test_a_write_sweeps_what_dead_processes_left_and_spares_all_else(tmp_path) -> None:
    gone, elsewhere = dead().tag, Owner(dead().pid, 1, "0" * 8).tag
    (tmp_path / f".x.{gone}.partial").write_bytes(b"half")
    (tmp_path / f".other.safetensors.{gone}.partial").write_bytes(b"half")
    (tmp_path / f".y.abcd_123.{gone}.partial").mkdir()
    (tmp_path / f".y.abcd_123.{gone}.partial" / "file").write_bytes(b"half")
    spared = {
        f".x.{current_owner().tag}.partial",
        f".z.{elsewhere}.partial",
        ".x.1.partial",
        "x.partial",
        f"x.{gone}.partial",
    }
    for name in spared:
        (tmp_path / name).write_bytes(b"mine")
    write_bytes(tmp_path / "new", b"")
    assert {path.name for path in tmp_path.iterdir()} == spared | {"new"}


def test_who_alone_may_write_a_file_sweeps_all_that_was_to_become_it(tmp_path) -> None:
    elsewhere = Owner(1, 1, "0" * 8).tag
    for name in ("run.json", "mine.json"):
        (tmp_path / f".{name}.{elsewhere}.partial").write_bytes(b"half")
    sweep(tmp_path, all_of=["run.json"])
    assert [path.name for path in tmp_path.iterdir()] == [f".mine.json.{elsewhere}.partial"]


@pytest.mark.parametrize("moment", range(4))
def test_a_directory_whose_replacement_is_killed_is_old_or_new_and_the_next_one_clears_up(tmp_path, moment) -> None:
    def fill(text: str) -> None:
        with new_directory(tmp_path / "x") as new:
            (new / "file").write_text(text)

    fill("old")
    count = -1

    def killed() -> None:
        def before_rename(path: Path, target: Path) -> Path:
            nonlocal count
            count += 1
            if count == moment:
                os.kill(os.getpid(), 9)
            return rename(path, target)

        rename = Path.rename
        setattr(Path, "rename", before_rename)  # noqa: B010
        os_rmtree = __import__("shutil").rmtree

        def before_rmtree(path, *rest, **how) -> None:
            nonlocal count
            count += 1
            if count == moment:
                os.kill(os.getpid(), 9)
            os_rmtree(path, *rest, **how)

        __import__("shutil").rmtree = before_rmtree
        fill("new")

    in_child(killed)
    restore_replaced(tmp_path / "x")
    assert (tmp_path / "x" / "file").read_text() == ("old" if moment < 2 else "new")
    fill("again")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_another_program_writes_into_a_directory_meanwhile_is_not_deleted(tmp_path) -> None:
    place = tmp_path / "x"

    def replaced_while(change: Callable[[], object]) -> None:
        with new_directory(place) as new:
            (new / "file").write_text("new")
            change()

    with pytest.raises(InputError, match="x was written by another process in the meantime"):
        replaced_while(lambda: (place.mkdir(), (place / "mine").write_text("")))
    assert [path.name for path in place.iterdir()] == ["mine"]
    with pytest.raises(InputError, match="x was written by another process in the meantime"):
        replaced_while(lambda: (place / "another").write_text(""))
    assert sorted(path.name for path in place.iterdir()) == ["another", "mine"]
    with pytest.raises(InputError, match="x was written by another process in the meantime"):
        replaced_while(lambda: (place / "mine").write_text("longer"))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_another_program_writes_to_a_file_meanwhile_is_not_replaced(tmp_path) -> None:
    place = tmp_path / "x"

    def replaced_while(text: str) -> None:
        with new_file(place) as new:
            new.write_text("new")
            place.write_text(text)

    for text in ("theirs", "theirs as well"):
        with pytest.raises(InputError, match="x was written by another process in the meantime"):
            replaced_while(text)
        assert place.read_text() == text
    with new_file(place) as new:
        new.write_text("new")
    assert place.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
