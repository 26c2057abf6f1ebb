"""Small valid files, cut and with bits turned: a set or one clear error, whatever the damage."""

import io
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from datacondense import ImageSet, InputError, load
from datacondense.data.sources.decode import decode, inspect, quiet
from datacondense.utils import cache

pytestmark = pytest.mark.slow

SETTINGS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
DAMAGE = st.tuples(
    st.one_of(st.none(), st.floats(0, 1)),  # where it is cut
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=6),  # bits that are turned
)
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF"]


def damaged(data: bytes, damage: tuple[float | None, list[tuple[float, int]]]) -> bytes:
    cut, bits = damage
    harmed = bytearray(data)
    for place, bit in bits:
        harmed[int(place * len(harmed))] ^= 1 << bit
    return bytes(harmed if cut is None else harmed[: int(cut * len(harmed))])


def is_one_line(error: InputError) -> bool:
    return bool(str(error).strip()) and "\n" not in str(error)


def encoded(file_format: str, mode: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x112] = 6
    options = {"exif": exif} if file_format in ("PNG", "JPEG", "WEBP", "TIFF") else {}
    options |= {"compression": "tiff_lzw"} if file_format == "TIFF" and mode == "RGB" else {}
    Image.fromarray(pixels).convert(mode).save(file, file_format, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("file_format", FORMATS)
def test_an_image(file_format: str, mode: str) -> None:
    data = encoded(file_format, mode)

    @SETTINGS
    @given(DAMAGE)
    def one(damage: tuple) -> None:
        harmed = damaged(data, damage)
        with quiet():
            for image_size in (None, 8):
                try:
                    image = decode(harmed, image_size)
                    grey, (width, height) = inspect(harmed)
                except InputError as error:
                    if not is_one_line(error):
                        raise AssertionError from error
                else:
                    assert image.dtype == np.uint8
                    assert image.shape[0] == (1 if grey else 3)
                    if image_size is None and file_format != "ICO":
                        assert image.shape[1:] == (height, width)

    one()


def check(source: str, **options) -> None:
    """Loading gives a sound set or one line; the cache holds whole entries only."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore",
                message=r".* (is|left) left out|(.*: |)(left out|ignored)|labels (have gaps|go from 1)",
                category=UserWarning,
            )
            train, test = load(source, **options)
    except InputError as error:
        if not is_one_line(error):
            raise AssertionError from error
    else:
        for part in (train, test):
            assert isinstance(part, ImageSet)
            assert part.images.shape[1:] == part.spec.shape
            assert len(part) == len(part.labels) > 0
            assert 0 <= int(part.labels.min()) <= int(part.labels.max()) < part.spec.classes
    sets = cache.folder() / "sets"
    if sets.exists():
        assert not [path for path in sets.iterdir() if path.suffix == ".partial"]
    shutil.rmtree(cache.folder(), ignore_errors=True)


def fuzz(path: Path, read: Callable[[], None]) -> None:
    data = path.read_bytes()

    @SETTINGS
    @given(DAMAGE)
    def one(damage: tuple) -> None:
        path.write_bytes(damaged(data, damage))
        read()

    one()


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file_of_images(tmp_path: Path, method: int, skip: bool) -> None:
    path = tmp_path / "birds.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in ("owl/1.png", "owl/2.png", "wren/1.png", "wren/2.png"):
            archive.writestr(name, encoded("PNG", "L"))
    fuzz(path, lambda: check(f"folder:{path}", skip_broken=skip))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "birds.npz"
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 4), dtype=np.uint8)
    save(path, images=images, labels=np.arange(6) % 2, class_names=np.array(["owl", "wren"]))
    fuzz(path, lambda: check(f"arrays:{path}"))


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "birds"
    (folder / "data").mkdir(parents=True)
    path = folder / "data/train-00000-of-00001.parquet"
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["owl", "wren"])})
    images = [{"bytes": encoded("PNG", "L"), "path": None}] * 6
    columns = {"image": images, "label": [0, 1] * 3}
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict(columns, features=features).to_parquet(path)

    def read() -> None:
        check(f"hub:{folder}")
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)

    try:
        fuzz(path, read)
    finally:
        datasets.enable_progress_bars()
