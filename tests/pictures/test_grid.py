"""Grids of condensed sets: whose pixels stand where, real images beside them, names of any kind."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datacondense import InputError, Spec, SyntheticSet, condense, image_set
from datacondense.drawing.layout import arrange, class_captions
from datacondense.drawing.text import caption
from datacondense.methods import Random
from datacondense.pictures import save_grid, save_rows
from datacondense.pictures.nearest import nearest_real
from datacondense.synthetic.provenance import Provenance


def read(path: Path) -> np.ndarray:
    """uint8 (H, W, C)."""
    with Image.open(path) as image:
        array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def places(picture: np.ndarray, pixels: torch.Tensor, zoom: int) -> list[tuple[int, int]]:
    """Where (y, x) in a picture the image (C, H, W) stands, enlarged."""
    tile = pixels.permute(1, 2, 0).repeat_interleave(zoom, 0).repeat_interleave(zoom, 1).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(picture, tile.shape)[:, :, 0]
    first, last = windows[..., 0, 0, :] == tile[0, 0], windows[..., -1, -1, :] == tile[-1, -1]
    likely = np.argwhere(first.all(-1) & last.all(-1))
    return [(int(y), int(x)) for y, x in likely if (windows[y, x] == tile).all()]


def made(names: Sequence[str], *, shape: tuple[int, int, int] = (1, 8, 8), ipc: int = 1) -> SyntheticSet:
    channels = shape[0]
    images = torch.rand(len(names) * ipc, *shape, generator=torch.Generator().manual_seed(0))
    spec = Spec("made", tuple(names), shape, (0.5,) * channels, (0.25,) * channels)
    return SyntheticSet((images - 0.5) / 0.25, torch.arange(len(names)).repeat_interleave(ipc), spec, Provenance())


@pytest.mark.parametrize(("channels", "side", "zoom"), [(1, 8, 8), (3, 8, 8), (3, 28, 2), (3, 100, 1)])
def test_every_class_is_a_row_of_its_images(toy, tmp_path, channels: int, side: int, zoom: int) -> None:
    real = toy(channels=channels, side=side)
    synthetic = condense(Random(arch="MLP"), real, ipc=3)
    save_grid(synthetic, tmp_path / "images.png", per_class=2)
    picture = read(tmp_path / "images.png")
    pixels = real.spec.pixels(synthetic.images)
    found = [[places(picture, pixels[label * 3 + index], zoom) for index in range(3)] for label in range(3)]
    for first, second, third in found:
        ((y, x),), ((y_next, x_next),) = first, second
        assert (y_next, x_next) == (y, x + side * zoom + 4)
        assert third == []
    assert len({row[0][0] for row in found}) == 3


def test_pixels_are_those_of_the_real_images(toy) -> None:
    real = toy(channels=3)
    assert torch.equal(real.spec.pixels(real.spec.normalise(real.images)), real.images)


def test_classes_are_drawn_as_they_are_chosen(tmp_path) -> None:
    synthetic = made(["a", "b", "c", "d"])
    save_grid(synthetic, tmp_path / "x.png", classes=[3, 1])
    picture, pixels = read(tmp_path / "x.png"), synthetic.spec.pixels(synthetic.images)
    found = [places(picture, image, 8) for image in pixels]
    assert (found[0], found[2]) == ([], [])
    assert found[3] < found[1]  # in the order in which they were named


def test_many_images_of_a_class_stand_in_several_lines(tmp_path) -> None:
    synthetic = made(["cat", "dog"], ipc=45)
    save_grid(synthetic, tmp_path / "x.png", per_class=45)
    picture, pixels = read(tmp_path / "x.png"), synthetic.spec.pixels(synthetic.images)
    found = [places(picture, image, 8)[0] for image in pixels[:45]]
    (y, x), cell = found[0], 8 * 8 + 4
    assert found == [(y + index // 20 * cell, x + index % 20 * cell) for index in range(45)]


@pytest.mark.parametrize(
    ("classes", "shape", "ipc", "per_class", "drawn", "zoom"),
    [
        (1000, (3, 32, 32), 10, None, 10, 1),
        (1000, (3, 8, 8), 1, None, 1, 8),
        (200, (3, 64, 64), 10, None, 10, 1),
        (200, (3, 224, 224), 10, None, 1, 1),
        (2, (3, 224, 224), 100, None, 10, 1),
        (2, (3, 8, 8), 1, 7, 1, 8),
        (2, (3, 8, 8), 100, 100, 100, 8),
    ],
)
def test_a_picture_stays_usable(tmp_path, classes, shape, ipc, per_class, drawn, zoom) -> None:
    names = [f"{number} of the very long names that some classes have" for number in range(classes)]
    spec = Spec("many", tuple(names), shape, (0.5,) * shape[0], (0.25,) * shape[0])
    red = torch.tensor([9.0, -9.0, -9.0])[None, :, None, None].expand(classes * ipc, *shape)
    synthetic = SyntheticSet(red, torch.arange(classes).repeat_interleave(ipc), spec, Provenance())
    save_grid(synthetic, tmp_path / "x.png", per_class=per_class)
    picture = read(tmp_path / "x.png")
    height, width, _ = picture.shape
    assert width * height <= 25_000_000
    assert 0.4 < width / height < 6
    assert (picture == (255, 0, 0)).all(-1).sum() == classes * drawn * shape[1] * shape[2] * zoom**2


def test_no_name_reaches_into_an_image() -> None:
    names = ["W" * 300, "i" * 300, "short", "東京" * 50]
    spec = Spec("names", tuple(names), (1, 8, 8), (0.5,), (0.25,))
    layout = arrange(class_captions(spec, range(4)), 2, spec.shape, in_a_row=20)
    blank = [torch.full((2, 1, 8, 8), 255, dtype=torch.uint8)] * len(names)
    picture = np.asarray(layout.draw([blank]))
    left = layout.groups[0][0]
    for block in range(len(names) // layout.rows):
        start = 12 + block * layout.block[0]
        assert (picture[:, start + left : start + left + layout.groups[0][1]] == 255).all()
        assert (picture[:, start : start + left] < 128).any()
    assert (picture[:, :12] == 255).all()


NAMES = ["Café", "Ελληνικά", "кошка", "عربى", "a\nb", "\udcff", "😀"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_many_scripts_are_drawn_with_a_font_that_has_them(name: str) -> None:
    shown = caption(name, 7, width=180)
    assert shown.text == "".join(character if character.isprintable() else "\ufffd" for character in name)
    assert shown.font.getname()[0] == "DejaVu Sans"


@pytest.mark.parametrize("name", ["東京", "日本語" * 99, "ไทย", "", "  "])
def test_what_no_font_has_is_told_apart_by_the_number_of_the_class(name: str) -> None:
    shown = caption(name, 7, width=180)
    assert shown.text.startswith("7")
    assert shown.width <= 180


def test_long_names_keep_their_beginning_and_end() -> None:
    shown = caption("German shepherd, German police dog, alsatian", 0, width=180)
    begin, end = shown.text.split("…")
    assert len(begin) - len(end) in (0, 1)
    assert "German shepherd, German police dog, alsatian".startswith(begin)
    assert "German police dog, alsatian".endswith(end)
    assert 160 < shown.width <= 180
    assert caption("Ankle boot", 9, width=180).text == "Ankle boot"


def test_names_of_every_kind_make_a_picture(tmp_path) -> None:
    save_grid(made([*NAMES, "東京", "", "W" * 300]), tmp_path / "x.png")
    assert read(tmp_path / "x.png").min() == 0


def test_a_class_without_images_is_a_name_alone(tmp_path) -> None:
    whole = made(["cat", "dog"])
    synthetic = SyntheticSet(whole.images[:1], whole.labels[:1], whole.spec, Provenance())
    save_grid(synthetic, tmp_path / "x.png", classes=[1])
    assert read(tmp_path / "x.png").min() == 0


def test_beside_each_image_of_a_selection_stands_the_same_real_one(toy, tmp_path) -> None:
    real = toy(channels=3)
    synthetic = condense(Random(arch="MLP"), real, ipc=3)
    save_grid(synthetic, tmp_path / "x.png", real=real)
    picture, cell = read(tmp_path / "x.png"), 8 * 8 + 4
    for pixels in real.spec.pixels(synthetic.images):
        (y, x), (y_real, x_real) = places(picture, pixels, 8)
        assert (y_real, x_real) == (y, x + 3 * cell + 12)
    assert (picture[:36, :] < 128).any()  # the headings
    save_grid(synthetic, tmp_path / "plain.png")
    assert read(tmp_path / "plain.png").shape[0] < picture.shape[0]


def test_the_nearest_real_image_is_that_of_least_squared_difference(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    real = toy(sizes=(30, 50, 20), channels=3)
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("datacondense.pictures.nearest._CHUNK_BYTES", 7 * 8 * 3 * 64)
    for k in range(3):
        members = real.images[real.labels == k]
        distances = (members.long() - images[:, None].long()).square().sum((2, 3, 4))  # (5, B)
        assert torch.equal(nearest_real(real, images, k), members[distances.argmin(1)])


def test_real_images_of_another_kind_are_refused(toy, tmp_path) -> None:
    synthetic = condense(Random(arch="MLP"), toy(), ipc=1)
    with pytest.raises(InputError, match=r"the set was not made from the images of 'toy': class_names is"):
        save_grid(synthetic, tmp_path / "x.png", real=toy(sizes=(9, 9)))
    other = image_set(np.zeros((6, 1, 4, 4), np.uint8), np.arange(6) % 3, name="small")
    with pytest.raises(InputError, match=r"shape is \(1, 4, 4\), expected \(1, 8, 8\); name them with --data"):
        save_grid(synthetic, tmp_path / "x.png", real=other)
    assert list(tmp_path.iterdir()) == []


def test_sets_stand_one_under_the_other(tmp_path) -> None:
    spec = made(["a", "b"]).spec
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    sets = {
        name: SyntheticSet(
            torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(seed)), labels, spec, Provenance()
        )
        for seed, name in enumerate(["real", "inverted", "informative"])
    }
    save_rows(sets, tmp_path / "x.png", per_class=2)
    picture = read(tmp_path / "x.png")
    cell = 8 * 8 + 4
    for first in (0, 3):
        pixels = [spec.pixels(one.images[first : first + 3]) for one in sets.values()]
        ((y, x),) = places(picture, pixels[0][0], 8)
        for row, row_images in enumerate(pixels):
            found = [places(picture, image, 8) for image in row_images]
            assert found == [[(y + row * cell, x)], [(y + row * cell, x + cell)], []]
    save_rows(sets, tmp_path / "y.png", classes=[1])
    assert places(read(tmp_path / "y.png"), spec.pixels(sets["real"].images[0]), 8) == []


def test_sets_of_other_classes_do_not_stand_together(tmp_path) -> None:
    with pytest.raises(InputError, match="second has other classes, or images of another shape, than first"):
        save_rows({"first": made(["a"]), "second": made(["b"])}, tmp_path / "x.png")


def test_rows_of_many_classes_fit(tmp_path) -> None:
    many = made([f"class {number}" for number in range(200)], shape=(3, 64, 64), ipc=10)
    save_rows({"first": many, "second": many}, tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as image:
        assert image.width * image.height <= 25_000_000
