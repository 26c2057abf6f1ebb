"""Pictures of sets with soft labels, and of stored images that several training images are decoded from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic_sets import encoded
from torch import Tensor
from toy_methods import TOY

from datacondense import Provenance, Spec, SyntheticSet, condense
from datacondense.cli.app import main
from datacondense.drawing.layout import arrange, class_captions
from datacondense.pictures import draw_grid, largest_labels, load_neighbours, save_neighbours, stored_images
from datacondense.pictures.nearest import nearest_real
from datacondense.synthetic.decoders import DctDecoder, PixelDecoder, TileDecoder
from datacondense.synthetic.set import save

LONG = "{} of the very long names that some classes have"
SIDE = 13 * 8  # of an image of 8x8 pixels above its labels


def soft(labels: Tensor, names: tuple[str, ...], images: Tensor | None = None) -> SyntheticSet:
    """Return a set of white images of 8x8 pixels, or of other images."""
    spec = Spec("soft", names, (1, 8, 8), (0.5,), (0.25,))
    return SyntheticSet(
        torch.full((len(labels), 1, 8, 8), 9.0) if images is None else images, labels, spec, Provenance()
    )


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


def test_the_largest_labels_come_first() -> None:
    labels = torch.tensor([[0.1, 0.6, 0.1, 0.2], [-0.001, -0.001, 12345.0, -2.0]])
    made = soft(labels, ("a", "b", "c", "d"))
    assert largest_labels(made, torch.tensor([1, 0])) == [
        [(2, "1e+04"), (0, "0.00"), (1, "0.00")],
        [(1, "0.60"), (3, "0.20"), (0, "0.10")],
    ]
    two = soft(labels[:, :2].contiguous(), ("a", "b"))
    assert largest_labels(two, torch.tensor([0])) == [[(1, "0.60"), (0, "0.10")]]
    assert largest_labels(replace(made, labels=made.classes), torch.tensor([0, 1])) == [[], []]


def places(picture: np.ndarray, tile: np.ndarray) -> list[tuple[int, int]]:
    """Return (y, x) of every place of a tile in a grey picture."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, tile.shape)
    likely = np.argwhere((windows[..., 0, :] == tile[0]).all(-1))
    return [(int(y), int(x)) for y, x in likely if (windows[y, x] == tile).all()]


def test_images_stand_by_their_largest_label_above_three_lines() -> None:
    """Images of the same labels have the same lines; other labels have others."""
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).mul(2).sub(1)
    first, other = [0.1, 0.7, 0.2], [0.6, 0.3, 0.1]
    made = soft(torch.tensor([first, other, first, [0.2, 0.7, 0.1]]), ("cat", "dog", "bird"), images)
    picture = array(draw_grid(made))
    pixels = made.spec.pixels(images)[:, 0].numpy()
    found = [places(picture, image.repeat(13, 0).repeat(13, 1)) for image in pixels]
    assert [len(one) for one in found] == [1, 1, 1, 1]
    (first_at,), (other_at,), (same_at,), (fourth_at,) = found
    assert first_at[0] == same_at[0] == fourth_at[0]  # dogs
    assert first_at[1] < same_at[1] < fourth_at[1]
    assert other_at[0] < first_at[0]  # a cat, above

    def lines(place: tuple[int, int]) -> np.ndarray:
        y, x = place
        return picture[y + SIDE : y + SIDE + 4 + 3 * 14, x : x + SIDE]

    assert (lines(first_at) == lines(same_at)).all()
    assert not (lines(first_at) == lines(fourth_at)).all()
    ink = np.flatnonzero((lines(first_at) < 128).any(1))
    assert len(np.split(ink, np.flatnonzero(np.diff(ink) > 1) + 1)) == 3
    assert (picture[first_at[0] + SIDE :, first_at[1] + SIDE : same_at[1]] == 255).all()  # between two of them


@pytest.mark.parametrize("name", ["W" * 300, LONG.format(7), "東京" * 50, "", "Ελληνικά" * 9])
def test_no_label_reaches_beyond_its_image(name: str) -> None:
    names = (name, f"x{name}")
    spec = Spec("names", names, (1, 8, 8), (0.5,), (0.25,))
    layout = arrange(class_captions(spec, range(2)), 2, spec.shape, in_a_row=2, labelled=True)
    blank = [torch.full((2, 1, 8, 8), 255, dtype=torch.uint8)] * 2
    shown = [[(name, 0, "-999.99"), (f"x{name}", 1, "0.00"), (name, 0, "0.00")]] * 2
    picture = array(layout.draw([blank], labels=[shown, shown]))
    allowed = np.zeros_like(picture, dtype=bool)
    for k in range(2):
        for index in range(2):
            x, y = layout.place(k, 0, index)
            allowed[y + SIDE : y + layout.image_size[1], x : x + layout.label_width] = True
            assert (picture[y + SIDE : y + layout.image_size[1], x : x + layout.label_width] < 128).any()
        x, y = layout.corner(k)
        allowed[y : y + SIDE, x : x + layout.names_width] = True
    assert (picture[~allowed] > 240).all()  # an edge of a letter may leave a trace


@pytest.mark.parametrize(("classes", "labelled"), [(200, True), pytest.param(2000, False, marks=pytest.mark.slow)])
def test_of_too_many_classes_the_labels_are_left_out(classes: int, labelled: bool) -> None:
    names = tuple(map(LONG.format, range(classes)))
    made = soft(torch.eye(classes).mul(0.9), names)
    picture = draw_grid(made)
    assert picture.width * picture.height <= 25_000_000
    plain = draw_grid(replace(made, labels=made.classes))
    assert (array(picture).shape != array(plain).shape) == labelled
    if not labelled:
        assert (array(picture) == array(plain)).all()


def test_nearest_real_images_are_those_of_the_class_of_the_largest_label(toy, tmp_path: Path) -> None:
    real = toy()
    labels = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.4, 0.1]])
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    made = SyntheticSet(images, labels, real.spec, Provenance())
    save_neighbours(made, real, tmp_path / "n.safetensors")
    known = load_neighbours(made, tmp_path / "n.safetensors")
    assert known is not None
    assert known[0].tolist() == [1, 0]  # class by class
    pixels = real.spec.pixels(images)
    assert torch.equal(known[1][1:], nearest_real(real, pixels[:1], 2))
    assert torch.equal(known[1][:1], nearest_real(real, pixels[1:], 0))
    beside, alone = draw_grid(made, real=real), draw_grid(made)
    assert beside.width > alone.width
    tile = known[1][1, 0].numpy().repeat(13, 0).repeat(13, 1)
    assert len(places(array(beside), tile)) == 1


def test_stored_images_are_those_that_tiles_are_cut_from(toy) -> None:
    real = toy(channels=3)
    made = encoded(TileDecoder(factor=2), real, store="f32", n=2)
    stored = stored_images(made)
    assert stored is not None
    assert stored.images.shape == (6, 3, 8, 8)
    assert stored.labels.tolist() == [0, 0, 1, 1, 2, 2]
    again = TileDecoder(factor=2).decode({"images": stored.images[None]}, real.spec)[0]
    assert torch.equal(again, made.images)


def test_a_stored_image_has_the_class_that_its_tiles_have_most_of(toy) -> None:
    made = encoded(TileDecoder(factor=2), toy(), store="f32", n=1, soft=True)
    stored = stored_images(made)
    assert stored is not None
    assert torch.equal(stored.labels, made.labels.view(3, 4, 3).sum(1).argmax(1))


def test_coefficients_and_latents_are_no_images(toy) -> None:
    plain = encoded(PixelDecoder(), toy(), store="u8")
    assert stored_images(plain) is plain
    assert stored_images(replace(plain, stored=None)) is not None
    assert stored_images(encoded(DctDecoder(coefficients=16), toy(), store="f32")) is None
    assert stored_images(condense(TOY["it-gan"], toy(), 1)) is None


def test_show_draws_stored_images(toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name, decoder in {"tiles": TileDecoder(factor=2), "dct": DctDecoder(coefficients=16)}.items():
        Path(name).mkdir()
        save(encoded(decoder, toy(), store="u8", n=2), Path(name, "synthetic.safetensors"))
    assert main("show tiles --stored".split()) == 0
    assert capsys.readouterr().out.split() == ["tiles/stored.png"]
    stored = stored_images(encoded(TileDecoder(factor=2), toy(), store="u8", n=2))
    assert stored is not None
    with Image.open("tiles/stored.png") as picture:
        for image in stored.spec.pixels(stored.images)[:, 0].numpy():
            assert len(places(np.asarray(picture), image.repeat(8, 0).repeat(8, 1))) == 1
    assert main("show tiles --stored --classes 1 --per-class 1 --out one.png".split()) == 0
    with Image.open("one.png") as picture:
        assert picture.height < 100
    assert main("show dct --stored".split()) == 2
    error = "this set stores no images, but what they are decoded from: leave it out"
    assert error in capsys.readouterr().err
