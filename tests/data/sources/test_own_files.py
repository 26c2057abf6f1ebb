"""Image files as people have them: mixed, broken, changed, large; and when they are decoded again."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from folders import Told, birds, left, picture, refusal
from PIL import Image

from datacondense import InputError, image_set, load
from datacondense.data.named import Named
from datacondense.data.options import no_progress
from datacondense.data.search_paths import ImageFiles
from datacondense.data.sources import file_tree, parallel
from datacondense.data.sources.folder import read_published
from datacondense.utils import hardware

RANDOM = np.random.default_rng(0)


def test_pictures_with_transparency_in_nine_uneven_classes(tmp_path: Path) -> None:
    for k in range(9):
        for i in range(2 + 3 * k):
            if i % 2:
                picture(tmp_path / f"class {k}" / f"{i}.png", (k, 20, 30, 0 if i == 1 else 255), "RGBA")
            else:
                image = Image.new("P", (6, 4), 1)
                image.putpalette([0, 0, 0, k, 20, 30])
                (tmp_path / f"class {k}").mkdir(exist_ok=True)
                image.save(tmp_path / f"class {k}" / f"{i}.png")
    train, test = load(f"folder:{tmp_path}")
    assert (train.counts + test.counts).tolist() == [2 + 3 * k for k in range(9)]
    assert test.counts.tolist() == [max(1, round((2 + 3 * k) / 5)) for k in range(9)]
    assert train.spec.class_names == tuple(f"class {k}" for k in range(9))
    for part in (train, test):
        white = (part.images == 255).all(dim=(1, 2, 3))
        assert part.images[~white][:, 0, 0, 0].tolist() == part.labels[~white].tolist()
    assert sum(int((p.images == 255).all(dim=(1, 2, 3)).sum()) for p in (train, test)) == 9


@pytest.mark.filterwarnings("ignore:.*the mean of the test images")
def test_images_of_different_kinds_and_sizes_become_squares(tmp_path: Path) -> None:
    picture(tmp_path / "train/a/1.png", 100 * 257, "I;16", (60, 40))
    picture(tmp_path / "train/a/2.jpg", (9, 9, 9), "RGB", (31, 70))
    picture(tmp_path / "train/b/1.gif", 50, "L", (8, 8))
    picture(tmp_path / "test/b/1.png", (9, 0), "LA", (20, 33))
    train, test = load(f"folder:{tmp_path}", image_size=16)
    assert train.spec.shape == (3, 16, 16)
    assert train.images[:, :, 8, 8].tolist() == [[100] * 3, [9] * 3, [50] * 3]
    assert (test.images == 255).all()


def test_grey_of_all_kinds_stays_grey(tmp_path: Path) -> None:
    for part in ("train", "test"):
        picture(tmp_path / part / "a/1.png", 100 * 257, "I;16")
        picture(tmp_path / part / "a/2.png", (9, 255), "LA")
        picture(tmp_path / part / "b/3.png", 1, "1")
    assert load(f"folder:{tmp_path}")[0].images[:, :, 0, 0].tolist() == [[100], [9], [255]]


def test_broken_files_are_counted_and_five_of_them_named(tmp_path: Path) -> None:
    birds(tmp_path, 8)
    for i in range(3):
        (tmp_path / f"owl/{i}.png").write_bytes(b"")
    for i in range(4):
        path = tmp_path / f"wren/{i}.png"  # the header is whole
        path.write_bytes(path.read_bytes()[:45])
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path}: 7 of 16 images cannot be read: owl/0.png cannot be read as an image (")
    assert said.count("cannot be read as an image") == 5
    assert "; and 2 more; " in said
    assert "--skip-broken" in said


def test_broken_files_are_left_out_on_demand_and_listed_each_time(tmp_path: Path) -> None:
    birds(tmp_path)
    (tmp_path / "owl/3.png").write_bytes(b"")
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"left out 1 of 12 images, which cannot be read: owl/3.png") as told:
            train, test = load(f"folder:{tmp_path}", skip_broken=True)
        assert len(told) == 1
        assert (train.counts + test.counts).tolist() == [5, 6]


def test_a_class_of_broken_files_is_named(tmp_path: Path) -> None:
    birds(tmp_path)
    picture(tmp_path / "tit/1.png").write_bytes(b"")
    assert "class 'tit' has no readable image, as tit/1.png " in refusal(tmp_path, skip_broken=True)


def test_nothing_but_broken_files(tmp_path: Path) -> None:
    birds(tmp_path, 1)
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"x")
    assert "2 of 2 images cannot be read" in refusal(tmp_path)
    assert "2 of 2 images cannot be read" in refusal(tmp_path, skip_broken=True)


def test_a_second_read_opens_no_image(tmp_path: Path) -> None:
    first, again = Told(), Told()
    one, _ = load(f"folder:{birds(tmp_path)}", progress=first)
    assert first.last == {"reading": (12, 12), "decoding": (12, 12)}
    two, _ = load(f"folder:{tmp_path}", progress=again)
    assert again.last == {}
    assert torch.equal(one.images, two.images)
    assert one.fingerprint() == two.fingerprint()


def test_the_same_images_elsewhere_are_not_decoded_again(tmp_path: Path) -> None:
    birds(tmp_path / "a/birds")
    load(f"folder:{tmp_path / 'a/birds'}")
    shutil.copytree(tmp_path / "a/birds", tmp_path / "b/birds")
    told = Told()
    load(f"folder:{tmp_path / 'b/birds'}", progress=told)
    assert told.last == {"reading": (12, 12)}


def test_a_note_names_the_place_that_was_read(tmp_path: Path) -> None:
    birds(tmp_path / "a/birds")
    (tmp_path / "a/birds/owl/0.png").write_bytes(b"")
    shutil.copytree(tmp_path / "a/birds", tmp_path / "b/birds")
    for place in (tmp_path / "a/birds", tmp_path / "b/birds"):
        with pytest.warns(UserWarning, match=f"{place}: left out 1 of 12 images"):
            load(f"folder:{place}", skip_broken=True)


def test_a_set_in_a_cache_that_is_read_only_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_file: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    birds(tmp_path / "a/birds")
    load(f"folder:{tmp_path / 'a/birds'}")
    shutil.copytree(tmp_path / "a/birds", tmp_path / "b/birds")
    monkeypatch.setattr(os, "fsync", refused)
    assert sum(map(len, load(f"folder:{tmp_path / 'b/birds'}"))) == 12


@pytest.mark.parametrize("change", ["pixel", "name", "more", "less", "label", "option"])
def test_a_change_is_noticed(tmp_path: Path, change: str) -> None:
    birds(tmp_path)
    before, _ = load(f"folder:{tmp_path}")
    owl = tmp_path / "owl/5.png"
    if change == "pixel":
        times = owl.stat()
        size = times.st_size
        picture(owl, (51, 1, 2))
        assert owl.stat().st_size == size
        os.utime(owl, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "name":
        owl.rename(tmp_path / "owl/50.png")
    elif change == "more":
        picture(tmp_path / "owl/6.png")
    elif change == "less":
        owl.unlink()
    elif change == "label":
        owl.rename(tmp_path / "wren/6.png")
    told = Told()
    load(f"folder:{tmp_path}", progress=told, image_size=4 if change == "option" else None)
    assert "decoding" in told.last
    assert before.fingerprint()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("phase", ["reading", "decoding"])
def test_nothing_is_left_of_what_is_interrupted(tmp_path: Path, phase: str, kind: type[BaseException]) -> None:
    def stop(what: str, done: int, _total: int) -> None:
        if (what, done) == (phase, 5):
            raise kind

    with pytest.raises(kind):
        load(f"folder:{birds(tmp_path)}", progress=stop)
    assert left() == []


def test_files_that_change_while_they_are_read_are_refused(tmp_path: Path) -> None:
    birds(tmp_path)

    def change(what: str, done: int, _total: int) -> None:
        if (what, done) == ("decoding", 0):
            picture(tmp_path / "owl/0.png", (255, 255, 255))

    assert "the files changed while they were read" in refusal(tmp_path, progress=change)


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(tmp_path: Path, size: int) -> None:
    assert refusal(birds(tmp_path), image_size=size) == f"--image-size {size}: must be at least 1 and at most 4096"


def test_columns_are_no_matter_of_folders(tmp_path: Path) -> None:
    assert "--image-column does not apply to folder:" in refusal(tmp_path, image_column="x")


def published(names: list[str], *shape: int) -> Named:
    """What is known of a dataset named mine."""
    return Named(
        name="mine",
        class_names=tuple(names),
        shape=(shape[0], shape[1], shape[2]),
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
        flip=False,
        layouts=(),
        obtain="",
    )


def test_files_listed_elsewhere(tmp_path: Path) -> None:
    birds(tmp_path)
    files = [(tmp_path / name / f"{i}.png", label) for i in range(6) for label, name in enumerate(("owl", "wren"))]
    listing = ImageFiles(("o", "w"), files[4:], files[:4])
    train, test = read_published(published(["o", "w"], 3, 4, 6), listing, no_progress)
    assert (len(train), len(test)) == (8, 4)
    spec = train.spec
    assert (spec.name, spec.class_names, spec.mean, spec.flip) == ("mine", ("o", "w"), (0.1, 0.2, 0.3), False)
    with pytest.raises(InputError, match=r"images of mine have shape \(3, 4, 6\)"):
        read_published(published(["o", "w"], 3, 6, 4), listing, no_progress)


def test_grey_files_fill_three_channels_where_these_are_wanted(tmp_path: Path) -> None:
    files = [(picture(tmp_path / f"{i}.png", i, "L"), i % 2) for i in range(6)]
    height, width = np.asarray(Image.open(files[0][0])).shape
    named = published(["a", "b"], 3, height, width)
    train, _ = read_published(named, ImageFiles(("a", "b"), files[:4], files[4:]), no_progress)
    assert train.images[:, :, 0, 0].tolist() == [[i] * 3 for i in range(4)]


def test_little_memory_leaves_out_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    birds(tmp_path)
    for i in range(6):
        Image.fromarray(RANDOM.integers(0, 256, (300, 300, 3), np.uint8)).save(tmp_path / f"owl/{i}.png")
    monkeypatch.setattr(hardware, "available_memory", lambda: 2**20)
    assert sum(map(len, load(f"folder:{tmp_path}", image_size=8, skip_broken=True))) == 12


@pytest.mark.parametrize("skip_broken", [True, False])
def test_a_failing_disk_makes_no_image_a_broken_one(
    tmp_path: Path, skip_broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    birds(tmp_path)

    def failing(path: str, mode: str) -> Any:
        if path.endswith("owl/3.png"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return Path(path).open(mode)

    monkeypatch.setattr(file_tree, "open", failing, raising=False)
    with pytest.raises(OSError, match=r"Input/output error: .*/owl/3.png"):
        load(f"folder:{tmp_path}", skip_broken=skip_broken)
    assert left() == []


def test_an_image_without_memory_for_it_is_not_a_broken_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    birds(tmp_path)
    monkeypatch.setattr(Image.Image, "convert", exhausted)
    with pytest.raises(MemoryError):
        load(f"folder:{tmp_path}", skip_broken=True)
    assert left() == []


def test_few_large_images_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "available_memory", lambda: 4000)
    monkeypatch.setattr(parallel, "workers", lambda: 8)
    for each, most in ((1, 16), (300, 3), (5000, 1)):
        begun: list[int] = []
        results = parallel.ordered(begun.append, range(50), "x", no_progress, each=each)
        next(results)
        del results
        assert len(begun) <= most + 1


def test_a_size_beyond_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--image-size 5000: must be at least 1 and at most 4096"):
        load(f"folder:{birds(tmp_path)}", image_size=5000)


def test_small_classes_are_left_out_of_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    birds(tmp_path / "birds", 10)
    for i in range(3):
        picture(tmp_path / "birds/tit" / f"{i}.png")
    whole, _ = load(f"folder:{tmp_path / 'birds'}")
    monkeypatch.setattr(hardware, "available_memory", lambda: 2**10)  # as for images that do not fit
    train = test = whole
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"birds: left out classes with fewer than 3 training images: tit \(2\)"):
            train, test = load(f"folder:{tmp_path / 'birds'}", min_per_class=3)
        assert train.spec.class_names == ("owl", "wren")
        assert (train.counts.tolist(), test.counts.tolist()) == ([8, 8], [2, 2])
    assert torch.equal(train.images, whole.images[whole.labels != 1])
    assert train.fingerprint() == image_set(train.images, train.labels, spec=train.spec).fingerprint()
    with pytest.raises(InputError, match="birds: only 0 of 3 classes have 9 training images or more"):
        load(f"folder:{tmp_path / 'birds'}", min_per_class=9)
