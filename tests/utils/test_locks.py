"""Who may write where, as seen by another process."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from datacondense.utils import locks
from datacondense.utils.atomic import LOCK
from datacondense.utils.errors import InputError, Locked
from datacondense.utils.locks import Holder, replacing, writing


def refusal(place: Path, lock=writing) -> str:
    """What another process is answered that wants to write; empty where it may."""
    reading, to = os.pipe()
    process = os.fork()
    if not process:
        text = ""
        try:
            with lock(place, wait=0.1):
                pass
        except Locked as error:
            text = str(error)
        os.write(to, text.encode())
        os._exit(0)
    os.close(to)
    os.waitpid(process, 0)
    with os.fdopen(reading) as answer:
        return answer.read()


def test_a_second_process_is_told_who_writes_and_may_write_afterwards(tmp_path) -> None:
    run = tmp_path / "parent" / "run"
    with writing(run):
        (run / "file").write_text("")
        with writing(run):  # the same thread may
            pass
        text = refusal(run)
        assert f"{run} is being written by process {os.getpid()} on {os.uname().nodename} (" in text
        assert "pytest" in text
        assert time.strftime("since %Y-") in text
        assert "\n" not in text
    assert refusal(run) == ""
    assert [path.name for path in run.iterdir()] == ["file"]


def test_a_lock_whose_holder_cannot_be_written_is_released(tmp_path, monkeypatch) -> None:
    def full(*_args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"), writing(tmp_path):
            pass
    with writing(tmp_path, wait=0.1):
        assert refusal(tmp_path)


def test_a_directory_made_for_nothing_is_gone(tmp_path) -> None:
    def fails() -> None:
        with writing(tmp_path / "a" / "b"):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_another_thread_is_another(tmp_path) -> None:
    answers: list[str] = []

    def attempt() -> None:
        try:
            with writing(tmp_path, wait=0.1):
                answers.append("may")
        except Locked as error:
            answers.append(str(error))

    with writing(tmp_path):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert "is being written by process" in answers[0]


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path) -> None:
    process = os.fork()
    if not process:
        with writing(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    assert (tmp_path / LOCK).exists()
    assert refusal(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_child_neither_has_nor_keeps_nor_ends_its_parents_lock(tmp_path) -> None:
    holder = os.fork()
    if not holder:
        with writing(tmp_path):
            if not os.fork():  # outlives its parent
                time.sleep(2)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(holder, 0)
    assert refusal(tmp_path) == ""
    with writing(tmp_path):
        process = os.fork()
        if not process:
            os._exit(0)
        os.waitpid(process, 0)
        assert refusal(tmp_path)


def elsewhere(change: Callable[[Holder], Holder]) -> bytes:
    return msgspec.json.encode(change(replace(Holder.current(), host="node7", tag="17-1-00000000", pid=17)))


def test_what_a_process_of_another_machine_may_be_writing_is_refused_with_the_file_to_delete(tmp_path) -> None:
    lock = tmp_path / LOCK
    lock.write_bytes(elsewhere(lambda holder: holder))
    text = refusal(tmp_path)
    assert "may be in use by process 17 on node7" in text
    assert f"delete {lock}" in text
    assert lock.exists()
    with writing(tmp_path, cached=True):  # what can be made again may be
        pass
    assert refusal(tmp_path) == ""


def test_a_launch_that_starts_again_on_another_machine_goes_on(tmp_path, monkeypatch) -> None:
    (tmp_path / LOCK).write_bytes(elsewhere(lambda holder: replace(holder, launch="a")))
    monkeypatch.setattr(locks.torchrun, "mark", lambda: {"id": "b", "process": 1})
    assert "may be in use by" in refusal(tmp_path)
    monkeypatch.setattr(locks.torchrun, "mark", lambda: {"id": "a", "process": 1})
    assert refusal(tmp_path) == ""


def test_what_is_no_record_counts_as_nobody(tmp_path) -> None:
    for content in (b"", b"{", b"[]", b"\xff", b'{"pid": 3}'):
        (tmp_path / LOCK).write_bytes(content)
        assert refusal(tmp_path) == ""


def test_a_file_system_without_locks_has_a_marker(tmp_path, monkeypatch) -> None:
    def unknown(_descriptor: int, *, blocking: bool) -> bool:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks, "lock_descriptor", unknown)
    with writing(tmp_path):
        assert "is being written by process" in refusal(tmp_path)
    assert refusal(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_followed_nor_emptied(tmp_path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"), writing(tmp_path / "run"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_what_is_replaced_has_its_lock_beside_it(tmp_path) -> None:
    with replacing(tmp_path / "x"):
        assert "x is being written by" in refusal(tmp_path / "x", replacing)
        assert not (tmp_path / "x").exists()
    assert list(tmp_path.iterdir()) == []


def test_of_many_processes_each_has_the_lock_alone(tmp_path) -> None:
    """Each adds one to a number that it reads first, many times, and deletes the lock file each time."""
    (tmp_path / "number").write_text("0")

    def count() -> None:
        for _ in range(20):
            with writing(tmp_path, wait=60):
                number = int((tmp_path / "number").read_text())
                time.sleep(0.001)
                (tmp_path / "number").write_text(str(number + 1))

    together = []
    for _ in range(3):
        process = os.fork()
        if not process:
            count()
            os._exit(0)
        together.append(process)
    assert [os.waitpid(process, 0)[1] for process in together] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "60"
    assert [path.name for path in tmp_path.iterdir()] == ["number"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_in_place_of_a_lock_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LOCK)
    assert locks.writer(tmp_path) is None
    with pytest.raises(InputError, match="is a named pipe, not a file"), locks.writing(tmp_path):
        pass


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is of Linux")
def test_a_folder_that_takes_no_file_is_not_said_to_be_locked() -> None:
    with pytest.raises(OSError, match="No such file"), locks.replacing(Path("/proc/out.npz")):
        pass
