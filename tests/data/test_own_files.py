"""Folders and zip files as people have them: mixed, broken, nested, changed, large."""

import errno
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datacondense import InputError, image_set, load, machine
from datacondense.data import parallel, store, tree
from datacondense.data.folder import read_files
from datacondense.data.options import Options, silent

RANDOM = np.random.default_rng(0)


class Told:
    """Progress that remembers what was done, and how many times."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, int]] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        self.last[what] = done, total


def picture(path: Path, colour: int | tuple[int, ...] = 0, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def birds(root: Path, count: int = 6) -> Path:
    """Two classes of `count` pictures each; picture i holds the value 10 i."""
    for name in ("owl", "wren"):
        for i in range(count):
            picture(root / name / f"{i}.png", (10 * i, 1, 2))
    return root


def packed(root: Path, path: Path, inside: str = "", **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for file in sorted(root.rglob("*")):
            archive.write(file, inside + str(file.relative_to(root)))
    return path


def refusal(place: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(f"folder:{place}", **options)
    assert "\n" not in str(caught.value)
    assert left() == []
    return str(caught.value)


def left() -> list[Path]:
    """All files in the cache."""
    return [path for path in store.folder().rglob("*") if path.is_file()]


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


@pytest.mark.parametrize("test", ["val", "valid", "validation"])
def test_a_folder_to_validate_on_is_for_testing(tmp_path: Path, test: str) -> None:
    birds(tmp_path / "train", 3)
    birds(tmp_path / test, 2)
    assert [len(part) for part in load(f"folder:{tmp_path}")] == [6, 4]


def test_of_test_and_val_val_is_left_out_and_that_is_said_each_time(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("val", 2), ("test", 1)):
        birds(tmp_path / name, count)
    for _ in range(2):
        with pytest.warns(UserWarning, match="val is left out: test is the test set"):
            assert [len(part) for part in load(f"folder:{tmp_path}")] == [6, 2]


def test_classes_called_train_and_bus_are_classes(tmp_path: Path) -> None:
    for name in ("train/1.png", "train/2.png", "bus/1.png", "bus/2.png"):
        picture(tmp_path / name)
    assert load(f"folder:{tmp_path}")[0].spec.class_names == ("bus", "train")


def test_deeper_folders_are_read_in_order(tmp_path: Path) -> None:
    for i, name in enumerate(["a/images/1.png", "a/images/more/1.png", "a/z.png", "a/.git/1.png"]):
        picture(tmp_path / "train" / name, (i, 0, 0))
        picture(tmp_path / "test" / name)
    picture(tmp_path / "train/b/1.png", (9, 0, 0))
    assert load(f"folder:{tmp_path}")[0].images[:, 0, 0, 0].tolist() == [0, 1, 2, 9]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    birds(tmp_path / "real", 3)
    root = tmp_path / "set"
    (root / "owl").mkdir(parents=True)
    (root / "owl/deep").symlink_to(tmp_path / "real/owl")
    (root / "owl/again").symlink_to(tmp_path / "real/owl")
    (root / "owl/up").symlink_to(root)
    (root / "owl/self").symlink_to(root / "owl")
    (root / "wren").symlink_to(tmp_path / "real/wren")
    train, test = load(f"folder:{root}")
    assert (train.counts + test.counts).tolist()[1] == 3
    assert len(train) + len(test) <= 12


def test_special_files_are_passed_over_and_links_to_nothing_are_not(tmp_path: Path) -> None:
    birds(tmp_path)
    os.mkfifo(tmp_path / "owl/pipe.png")
    assert len(load(f"folder:{tmp_path}")[0]) == 10
    shutil.rmtree(store.folder())
    (tmp_path / "owl/gone.png").symlink_to(tmp_path / "nowhere")
    assert "owl/gone.png cannot be read (No such file or directory)" in refusal(tmp_path)


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
    assert "class 'tit' has no image that can be read, as tit/1.png " in refusal(tmp_path, skip_broken=True)


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


def test_a_thousand_classes(tmp_path: Path) -> None:
    for k in range(1000):
        for i in range(2):
            picture(tmp_path / f"{k:03}" / f"{i}.bmp", k % 256, "L", (2, 2))
    train, test = load(f"folder:{tmp_path}")
    assert (len(train), len(test), train.spec.classes) == (1000, 1000, 1000)
    assert train.images[:, 0, 0, 0].tolist() == [k % 256 for k in range(1000)]


def test_names_that_are_no_text_are_refused_or_shown(tmp_path: Path) -> None:
    birds(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/owl/\xff\n.png")).write_bytes(b"")
    assert "owl/? .png cannot be read" in refusal(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).mkdir()
    picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff/1.png")))
    assert r"class folder '\udcff' is not one line of 1 to 1000 letters" in refusal(tmp_path)


@pytest.mark.parametrize("size", [0, -3])
def test_a_size_below_one_is_refused(tmp_path: Path, size: int) -> None:
    assert refusal(birds(tmp_path), image_size=size) == f"--image-size {size}: must be from 1 to 4096"


def test_columns_are_no_matter_of_folders(tmp_path: Path) -> None:
    assert "--image-column is of no use to folder:" in refusal(tmp_path, image_column="x")


@pytest.mark.parametrize("inside", ["", "birds-1.0/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file_reads_as_the_folder(tmp_path: Path, inside: str, method: int) -> None:
    root = birds(tmp_path / "birds")
    picture(root / "__MACOSX/owl/1.png")
    picture(root / ".hidden/1.png")
    path = packed(root, tmp_path / "birds.zip", inside, compression=method)
    shutil.rmtree(root / "__MACOSX")
    for ours, theirs in zip(load(f"folder:{path}"), load(f"folder:{root}"), strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert ours.fingerprint() == theirs.fingerprint()


def test_a_zip_file_with_train_and_test(tmp_path: Path) -> None:
    birds(tmp_path / "set/train", 3)
    birds(tmp_path / "set/test", 2)
    path = packed(tmp_path / "set", tmp_path / "set.zip", "set/")
    told = Told()
    assert [len(part) for part in load(f"folder:{path}")] == [6, 4]
    assert [len(part) for part in load(f"folder:{path}", progress=told)] == [6, 4]
    assert told.last == {}


@pytest.mark.parametrize("name", ["../owl/1.png", "/owl/1.png", "owl/../../1.png", "C:/owl/1.png", "..\\owl\\1.png"])
def test_a_zip_file_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    root = birds(tmp_path / "birds")
    path = packed(root, tmp_path / "birds.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, (root / "owl/1.png").read_bytes())
    assert "whose path leaves the folder" in refusal(path)
    assert not (tmp_path / "owl").exists()


def test_a_damaged_zip_file(tmp_path: Path) -> None:
    path = packed(birds(tmp_path / "birds"), tmp_path / "birds.zip")
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    assert "is damaged or not a zip file (" in refusal(path)
    at = data.index(b"IDAT") + 8
    path.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
    assert ": owl/0.png is damaged (Bad CRC-32" in refusal(path)
    with pytest.warns(UserWarning, match="left out 1 of 12 images"):
        assert sum(map(len, load(f"folder:{path}", skip_broken=True))) == 11


def test_an_encrypted_or_oddly_packed_zip_file(tmp_path: Path) -> None:
    root = birds(tmp_path / "birds")
    odd = packed(root, tmp_path / "a.zip", compression=zipfile.ZIP_LZMA)
    assert "is packed by a method other than deflate (" in refusal(odd)
    path = packed(root, tmp_path / "b.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 1)
    path.write_bytes(data)
    assert "is encrypted (" in refusal(path)


def test_a_zip_bomb_is_refused_without_unpacking_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = birds(tmp_path / "birds")
    path = packed(root, tmp_path / "birds.zip", compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("owl/9.png", "w") as file:
        for _ in range(40):
            file.write(bytes(2**20))
    monkeypatch.setattr(tree, "MOST_BYTES", 2**24)
    assert "owl/9.png has 40 MiB, more than 16: make it smaller" in refusal(path)


@pytest.mark.parametrize("given", [True, False])
def test_files_listed_elsewhere(tmp_path: Path, given: bool) -> None:
    birds(tmp_path)
    files: list[tuple[Path, int, bool | None]] = [
        (tmp_path / name / f"{i}.png", label, i < 2 if given else None)
        for i in range(6)
        for label, name in enumerate(("owl", "wren"))
    ]
    read: Callable = lambda **rest: read_files("mine", ["o", "w"], files, Options(), silent, **rest)  # noqa: E731
    train, test = read(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), flip=False)
    assert (len(train), len(test)) == ((8, 4) if given else (10, 2))
    spec = train.spec
    assert (spec.name, spec.class_names, spec.mean, spec.flip) == ("mine", ("o", "w"), (0.1, 0.2, 0.3), False)
    with pytest.raises(InputError, match=r"images of mine have shape \(3, 4, 6\)"):
        read(shape=(3, 6, 4))


def test_grey_files_fill_three_channels_where_these_are_wanted(tmp_path: Path) -> None:
    files: list[tuple[Path, int, bool | None]] = [
        (picture(tmp_path / f"{i}.png", i, "L"), i % 2, i > 3) for i in range(6)
    ]
    train, _ = read_files("mine", ["a", "b"], files, Options(), silent, rgb=True)
    assert train.images[:, :, 0, 0].tolist() == [[i] * 3 for i in range(4)]


def test_little_memory_leaves_out_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    birds(tmp_path)
    for i in range(6):
        Image.fromarray(RANDOM.integers(0, 256, (300, 300, 3), np.uint8)).save(tmp_path / f"owl/{i}.png")
    monkeypatch.setattr(machine, "available_memory", lambda: 2**20)
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

    monkeypatch.setattr(tree, "open", failing, raising=False)
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
    monkeypatch.setattr(machine, "available_memory", lambda: 4000)
    monkeypatch.setattr(parallel, "workers", lambda: 8)
    for each, most in ((1, 16), (300, 3), (5000, 1)):
        begun: list[int] = []
        results = parallel.ordered(begun.append, range(50), "x", silent, each=each)
        next(results)
        del results
        assert len(begun) <= most + 1


def test_a_size_beyond_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--image-size 5000: must be from 1 to 4096"):
        load(f"folder:{birds(tmp_path)}", image_size=5000)


@pytest.mark.parametrize("stray", ["preview.png", "root/preview.png"])
@pytest.mark.parametrize("zipped", [True, False])
def test_an_image_beside_the_classes_merges_none(tmp_path: Path, stray: str, zipped: bool) -> None:
    birds(tmp_path / "set/root")
    picture(tmp_path / "set" / stray)
    place = packed(tmp_path / "set", tmp_path / "set.zip") if zipped else tmp_path / "set"
    with pytest.warns(UserWarning, match="passed over 1 images outside of the class folders"):
        train, test = load(f"folder:{place}")
    assert (train.spec.class_names, len(train) + len(test)) == (("owl", "wren"), 12)


def test_one_class_is_refused_with_the_layout_that_was_expected(tmp_path: Path) -> None:
    picture(tmp_path / "owl/1.png")
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path} has one class only, 'owl': expected PATH/CLASS/*.png, or both ")


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "Test"), ("train", "testing"), ("TRAINING", "dev"), ("train", "eval")]
)
def test_parts_have_several_names_in_any_case(tmp_path: Path, train: str, test: str) -> None:
    birds(tmp_path / train, 3)
    birds(tmp_path / test, 2)
    assert [len(part) for part in load(f"folder:{tmp_path}")] == [6, 4]


@pytest.mark.parametrize("parts", [["Train", "train", "test"], ["test", "val"], ["training", "train"]])
def test_what_looks_like_parts_and_is_none_is_refused(tmp_path: Path, parts: list[str]) -> None:
    for part in parts:
        birds(tmp_path / part, 2)
    assert "expected PATH/CLASS/*.png, or both PATH/train/CLASS/*.png" in refusal(tmp_path)


@pytest.mark.parametrize("val", [True, False])
def test_test_images_without_classes_are_left_out(tmp_path: Path, val: bool) -> None:
    birds(tmp_path / "train", 5)
    picture(tmp_path / "test/1.png")
    if val:
        birds(tmp_path / "val", 2)
    with pytest.warns(UserWarning, match="test is left out"):
        assert [len(part) for part in load(f"folder:{tmp_path}")] == ([10, 4] if val else [8, 2])


def test_what_is_passed_over_is_counted_each_time(tmp_path: Path) -> None:
    birds(tmp_path / "train")
    birds(tmp_path / "test")
    birds(tmp_path / "unlabelled")
    picture(tmp_path / "1.png")
    picture(tmp_path / "train/2.png")
    for name in (
        "train/owl/3.heic",
        "test/owl/more/4.HEIC",
        "train/owl/5",
        "train/owl/6.txt",
        "train/owl/.7.raw",
        "8.pdf",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for _ in range(2):
        with pytest.warns(UserWarning, match="passed over") as caught:
            assert [len(part) for part in load(f"folder:{tmp_path}")] == [12, 12]
        assert [str(warning.message) for warning in caught] == [
            f"{tmp_path}: passed over 3 files that are not known to be images (.heic, no suffix), "
            "2 images outside of the class folders, the folders unlabelled"
        ]


@pytest.mark.parametrize("base", ["", "root/", "train/", "root/train/"])
def test_a_link_inside_a_class_doubles_no_image(tmp_path: Path, base: str) -> None:
    for name in ("owl", "wren"):
        for i in range(3):
            picture(tmp_path / base / name / f"deep/{i}.png")
    (tmp_path / base / "owl/again").symlink_to(tmp_path / base / "owl/deep")
    (tmp_path / base / "wren/owls").symlink_to(tmp_path / base / "owl/deep")
    if "train" in base:
        birds(tmp_path / base / "../test", 1)
    train, test = load(f"folder:{tmp_path}")
    assert len(train) + len(test) == 9 + ("train" in base) * 2


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\x7f"])
def test_names_that_no_set_can_be_saved_under_are_refused_first(tmp_path: Path, name: str) -> None:
    birds(tmp_path / name)
    assert "name of the data" in refusal(tmp_path / name)
    birds(tmp_path / "set").joinpath("owl").rename(tmp_path / "set" / name)
    assert "class folder" in refusal(tmp_path / "set")


def test_small_classes_are_left_out_of_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    birds(tmp_path / "birds", 10)
    for i in range(3):
        picture(tmp_path / "birds/tit" / f"{i}.png")
    whole, _ = load(f"folder:{tmp_path / 'birds'}")
    monkeypatch.setattr(machine, "available_memory", lambda: 2**10)  # as for images that do not fit
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
