"""A named pipe, a socket or a device in place of a file: one line, at once."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from datasets import config
from PIL import Image
from readers import TRAIN_IMAGES, write_set

from datacondense import InputError, load
from datacondense.data.readers import idx, svhn, tiny_imagenet
from datacondense.data.readers.pickles import read_torch
from datacondense.data.sources import file_tree
from datacondense.utils import paths


@pytest.fixture(autouse=True)
def soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What waits is stopped."""

    def hangs(*_: object) -> None:
        raise TimeoutError("it waits for a writer")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hf")
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def bound(path: Path) -> None:
    path.unlink(missing_ok=True)
    socket.socket(socket.AF_UNIX).bind(str(path.relative_to(Path.cwd())))


def device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


PLACED = pytest.mark.parametrize("place", [pipe, bound, device])


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@PLACED
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_readers_refuse_what_is_no_file(tmp_path: Path, place: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    place(path)
    kind = {"pipe": "a named pipe", "bound": "a socket", "device": "a device"}[place.__name__]
    readers: list[Callable[[], object]] = [
        lambda: idx.read(path, 3),
        lambda: svhn.read(path),
        lambda: file_tree.read_file(str(path)),
        lambda: paths.regular(path),
        lambda: paths.open_file(path),
        lambda: read_torch(path),
        lambda: tiny_imagenet.read_file(path),
        lambda: load(f"arrays:{path}"),
        lambda: load(f"folder:{path}"),
        lambda: load(f"hub:{path}"),
    ]
    said = [refusal(read) for read in readers]
    assert f"{kind}, not a file" in said[3]


@PLACED
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_sets_with_one_in_place_of_a_file(tmp_path: Path, place: Callable[[Path], None]) -> None:
    place(write_set(tmp_path / "idx", 3) / TRAIN_IMAGES)
    assert f"which lacks {TRAIN_IMAGES}" in refusal(lambda: load("mnist", data_dir="idx"))
    for name in ("ant", "bee"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (4, 4), i).save(tmp_path / f"photos/{name}/{i}.png")
    place(tmp_path / "photos/ant/x.png")
    assert sum(map(len, load("folder:photos"))) == 6
    assert "not a file" in refusal(lambda: load("hub:photos"))
    Path("hub").mkdir()
    place(tmp_path / "hub/train.parquet")
    assert "not a file" in refusal(lambda: load("hub:hub"))
    Path("README.md").write_text("")
    place(tmp_path / "photos/README.md")
    assert "README.md: is a" in refusal(lambda: load("hub:photos"))


def test_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with paths.open_file(tmp_path / "file") as file:
        assert file.read() == b"content"
    paths.regular(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        paths.open_file(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        paths.regular(tmp_path / "gone")
    (tmp_path / "loop").symlink_to("loop")
    assert "is a link that leads to itself" in refusal(lambda: paths.regular(tmp_path / "loop"))
    assert "is a folder, not a file" in refusal(lambda: paths.regular(tmp_path))


def test_names_that_are_no_text(tmp_path: Path) -> None:
    odd = os.fsdecode(b"odd\xff")
    np.savez(f"{odd}.npz", images=np.zeros((4, 4, 4), np.uint8), labels=np.array([0, 0, 1, 1]))
    write_set(tmp_path / odd, 3)
    for read in (lambda: load(f"arrays:{odd}.npz"), lambda: load("mnist", data_dir=odd), lambda: load(f"folder:{odd}")):
        assert "is not UTF-8: rename the file or directory" in refusal(read)
    for name in ("ant", "bee"):
        Path("hub", odd, name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(f"hub/{odd}/{name}/1.png")
    refusal(lambda: load("hub:hub"))
