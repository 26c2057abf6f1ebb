import os
import shutil
import subprocess
import sys

import pytest
import torch

from datacondense import InputError
from datacondense.utils.atomic import new_directory, write_bytes
from datacondense.utils.files import parse_json, read_json, read_tensors, write_tensors
from datacondense.utils.paths import regular


def test_tensors_and_header_come_back(tmp_path) -> None:
    tensors = {"b": torch.randn(2, 3), "a": torch.arange(5)}
    write_tensors(tmp_path / "x", tensors, {"seed": 3, "list": [1, "two"]})
    back, header = read_tensors(tmp_path / "x")
    assert header == {"seed": 3, "list": [1, "two"]}
    assert {name: tensor.tolist() for name, tensor in back.items()} == {n: t.tolist() for n, t in tensors.items()}


def test_every_flipped_byte_is_noticed(tmp_path) -> None:
    path = tmp_path / "x"
    write_tensors(path, {"images": torch.randn(4, 4)}, {"seed": 3})
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        with pytest.raises(InputError, match=r"x (is damaged|was not written by datacondense)"):
            read_tensors(path)


@pytest.mark.parametrize("kept", [0, 5, 60, 200])
def test_a_truncated_file_is_noticed(tmp_path, kept: int) -> None:
    path = tmp_path / "x"
    write_tensors(path, {"images": torch.randn(16, 16)}, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="is damaged"):
        read_tensors(path)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path) -> None:
    import safetensors.torch

    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "x")
    with pytest.raises(InputError, match="was not written by datacondense"):
        read_tensors(tmp_path / "x")


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "x", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_written_files_are_readable_as_the_umask_says(tmp_path) -> None:
    write_bytes(tmp_path / "x", b"")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o666 & ~mask


def test_damaged_json_is_named(tmp_path) -> None:
    (tmp_path / "run.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"run\.json is damaged: not JSON"):
        read_json(tmp_path / "run.json")


def test_a_directory_is_replaced_as_a_whole(tmp_path) -> None:
    path = tmp_path / "parent" / "x"
    for name in ("old", "new"):
        with new_directory(path) as new:
            (new / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["new"]
    assert [file.name for file in path.parent.iterdir()] == ["x"]


def test_a_directory_that_is_not_finished_leaves_the_old_one(tmp_path) -> None:
    path = tmp_path / "x"

    def interrupted() -> None:
        with new_directory(path) as new:
            (new / "file").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    path.mkdir()
    (path / "file").write_text("old")
    with pytest.raises(FileNotFoundError), new_directory(path) as new:
        shutil.rmtree(new)  # the last step, putting the new one in its place, fails
    assert [file.read_text() for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_moved_aside_is_put_back_before_anything_else(tmp_path) -> None:
    (tmp_path / ".x.old").mkdir()
    (tmp_path / ".x.old" / "only").write_text("copy")

    def interrupted() -> None:
        with new_directory(tmp_path / "x"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*")] == ["x", "x/only"]


def test_directories_of_others_are_never_deleted_whatever_their_name(tmp_path) -> None:
    for name in (".x.partial", ".x.old", "x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("")
    with new_directory(tmp_path / "x") as new:
        (new / "file").write_text("new")
    found = sorted(file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file())
    assert found == [".x.old/mine", ".x.partial/mine", "x/file"]


def test_a_new_directory_is_as_open_as_the_umask_says(tmp_path) -> None:
    with new_directory(tmp_path / "x"):
        pass
    (tmp_path / "y").mkdir()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_a_failure_leaves_no_empty_parents(tmp_path) -> None:
    with pytest.raises(InputError), new_directory(tmp_path / "a" / "b" / "x"):
        raise InputError("no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "NaN", "[1e999]", '"\\ud800"', "[" * 100_000, b"\xff", "9" * 10_000])
def test_what_is_not_json_or_could_not_be_written_again_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_json_comes_as_it_is() -> None:
    assert parse_json('{"a": [1, 2.5, "\\u00e4", null, true]}') == {"a": [1, 2.5, "ä", None, True]}


def test_a_link_stays_a_link_and_what_is_no_file_is_not_replaced(tmp_path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InputError, match="is not a file that can be replaced"):
            write_bytes(path, b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "real"]


def test_two_processes_may_write_one_file_at_once(tmp_path) -> None:
    code = (
        "import sys, pathlib; from datacondense.utils.atomic import write_bytes\n"
        "for _ in range(200): write_bytes(pathlib.Path(sys.argv[1]), sys.argv[2].encode() * 10_000)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "one")]
    both = [subprocess.Popen([*command, letter]) for letter in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    assert (tmp_path / "one").read_bytes() in (b"a" * 10_000, b"b" * 10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def _fifo(path) -> None:
    os.mkfifo(path)


def _itself(path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "expected"),
    [(os.mkdir, "is a folder, not a file"), (_fifo, "is a named pipe, not a file"), (_itself, "leads to itself")],
)
def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path, make, expected: str) -> None:
    path = tmp_path / "x"
    make(path)
    for read in (regular, read_json, read_tensors):
        with pytest.raises(InputError, match=expected):
            read(path)


def test_names_that_no_file_can_have_are_refused() -> None:
    for name in ("a\0b", "a\ud800"):
        with pytest.raises(InputError, match=r"cannot be a file name|is not UTF-8"):
            regular(name)
