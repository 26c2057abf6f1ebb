import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from datacondense import ImageSet, InputError, Spec
from datacondense.data import build, splits
from datacondense.data.sources.store import DecodedSource, key, load_or_make
from datacondense.data.statistics import Statistics
from datacondense.utils import cache, hardware


def source(count: int = 20, *, channels: int = 3, split: bool = True, classes: int = 2, **rest) -> DecodedSource:
    """Image i holds the value i; every fifth is for testing."""

    def images() -> Iterator[tuple[np.ndarray, int, bool | None]]:
        for i in range(count):
            yield np.full((1 if i % 2 else channels, 4, 5), i, np.uint8), i % classes, i % 5 == 0 if split else None

    names = tuple(f"class {k}" for k in range(classes))
    return DecodedSource(name="mine", class_names=names, shape=(channels, 4, 5), images=images(), **rest)


def left() -> list[str]:
    """Names of what is in the cache."""
    sets = cache.folder() / "sets"
    return sorted(path.name for path in sets.iterdir()) if sets.exists() else []


def test_images_come_back_in_order_by_part() -> None:
    train, test = load_or_make("a", source)
    assert test.images[:, 0, 0, 0].tolist() == [0, 5, 10, 15]
    assert train.images[:, 2, 3, 4].tolist() == [i for i in range(20) if i % 5]
    assert train.labels.tolist() == [i % 2 for i in range(20) if i % 5]
    assert train.images.dtype == torch.uint8
    assert (
        train.spec
        == test.spec
        == Spec("mine", ("class 0", "class 1"), (3, 4, 5), *Statistics.measure(train.images).result())
    )
    assert train.fingerprint() == ImageSet(train.images.clone(), train.labels, train.spec).fingerprint()


def test_what_is_stored_is_not_made_again() -> None:
    first, _ = load_or_make("a", source)

    def never() -> DecodedSource:
        raise AssertionError

    again, _ = load_or_make("a", never)
    assert torch.equal(first.images, again.images)
    assert first.fingerprint() == again.fingerprint()
    assert left() == ["a"]


def test_a_fifth_is_set_aside_as_split_does() -> None:
    train, test = load_or_make("a", lambda: source(split=False))
    values = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(20, 3, 4, 5)
    expected = splits.split(
        build.image_set(values, torch.arange(20) % 2, name="mine", class_names=["class 0", "class 1"])
    )
    for ours, theirs in zip((train, test), expected, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
        assert (ours.spec, ours.fingerprint()) == (theirs.spec, theirs.fingerprint())


def test_a_large_set_is_mapped_and_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    small, _ = load_or_make("a", source)
    monkeypatch.setattr(hardware, "available_memory", lambda: 100)
    mapped, _ = load_or_make("a", source)
    assert isinstance(np.load(cache.folder() / "sets/a/train.images.npy", mmap_mode="c"), np.memmap)
    draw = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    assert torch.equal(small.sample(3, draw[0]), mapped.sample(3, draw[1]))
    assert small.fingerprint() == mapped.fingerprint()


def test_published_statistics_are_kept() -> None:
    train, _ = load_or_make("a", lambda: source(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), flip=False))
    assert (train.spec.mean, train.spec.std, train.spec.flip) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7), False)


def test_notes_are_told_each_time() -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match="two are broken"):
            load_or_make("a", lambda: source(notes=lambda: ["two are broken"]))


@pytest.mark.parametrize("harm", ["cut", "flip", "missing", "json", "shape"])
def test_a_damaged_entry_is_made_anew(harm: str) -> None:
    before, _ = load_or_make("a", source)
    place = cache.folder() / "sets/a"
    images = place / "train.images.npy"
    data = images.read_bytes()
    if harm == "cut":
        images.write_bytes(data[:-1])
    elif harm == "flip":
        images.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "missing":
        (place / "test.labels.npy").unlink()
    elif harm == "json":
        (place / "set.json").write_text("{")
    else:
        entry = json.loads((place / "set.json").read_text())
        entry["train"]["images"] += 1
        (place / "set.json").write_text(json.dumps(entry))
    again, _ = load_or_make("a", source)
    assert torch.equal(before.images, again.images)
    assert images.read_bytes() == data


def test_nothing_is_left_of_what_fails() -> None:
    def broken() -> Iterator[tuple[np.ndarray, int, bool]]:
        yield np.zeros((1, 4, 5), np.uint8), 0, False
        raise InputError("one is broken")

    with pytest.raises(InputError, match="one is broken"):
        load_or_make("a", lambda: DecodedSource(name="x", class_names=("a",), shape=(1, 4, 5), images=broken()))
    assert left() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": 0}, "there is no image"),
        ({"count": 2, "split": False}, "every class has a single image"),
        ({"count": 7, "classes": 8}, r"class 'class 0' \(label 0\) has no image"),
    ],
)
def test_what_makes_no_set_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_or_make("a", lambda: source(**wrong))
    assert left() == []


KILLED = """
import os, signal
import numpy as np
from datacondense.data.sources.store import DecodedSource, load_or_make

def images():
    yield np.zeros((1, 4, 5), np.uint8), 0, False
    os.kill(os.getpid(), signal.SIGKILL)

load_or_make("a", lambda: DecodedSource(name="x", class_names=("a",), shape=(1, 4, 5), images=images()))
"""


def test_what_a_killed_process_left_is_swept_up() -> None:
    assert subprocess.run([sys.executable, "-c", KILLED]).returncode == -signal.SIGKILL
    assert [name.endswith(".partial") for name in left()] == [True]
    load_or_make("b", source)
    assert left() == ["b"]


def test_two_at_once_both_get_their_images() -> None:
    def slow() -> DecodedSource:
        load_or_make("a", source)  # another one is faster
        return source()

    train, _ = load_or_make("a", slow)
    assert len(train) == 16
    assert left() == ["a"]


def test_keys_tell_contents_apart() -> None:
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1}) != key({"a": 1, "b": 3})


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "datacondense"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path("~/.cache/datacondense").expanduser()


def test_what_another_process_has_mended_meanwhile_is_left() -> None:
    load_or_make("a", source)
    images = cache.folder() / "sets/a/train.images.npy"
    images.write_bytes(b"")

    def slow() -> DecodedSource:
        load_or_make("a", source)  # another one mends it first
        seen.append(images.stat().st_ino)
        return source()

    seen: list[int] = []
    load_or_make("a", slow)
    assert [images.stat().st_ino] == seen
    assert left() == ["a"]


def test_a_cache_that_is_no_folder_is_told_with_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATACONDENSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=f"the cache of decoded images .DATACONDENSE_CACHE names.*{tmp_path}/file/sets"):
        load_or_make("a", source)


def test_a_full_disk_is_told_with_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device in the cache of decoded images"):
        load_or_make("a", source)
    assert left() == []
