"""Every decoder: affine in what is optimised, adjoint to its gradient, counted in bytes, and back from its file."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from datacondense import ImageSet, Provenance, Spec, SyntheticSet, load_set
from datacondense.synthetic.decoders import DECODERS, DctDecoder, Decoder, PixelDecoder, TileDecoder, dct, inverse_dct
from datacondense.synthetic.parameters import Decoded
from datacondense.synthetic.set import save
from datacondense.synthetic.stored import Encoded, Store
from datacondense.utils.errors import InputError

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 33, 20), (3, 8, 9)]
CASES = [
    PixelDecoder(),
    TileDecoder(factor=1),
    TileDecoder(factor=2),
    TileDecoder(factor=3),
    DctDecoder(coefficients=9),
    DctDecoder(coefficients=20),
]
CLASSES, STORED = 3, 2


def real_images(shape: tuple[int, int, int]) -> ImageSet:
    """Return smooth random images of three classes."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(30, shape[0], 4, 4, generator=generator)
    images = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear").mul(255).byte()
    c = shape[0]
    spec = Spec("smooth", ("a", "b", "c"), shape, (0.4, 0.5, 0.6)[:c], (0.2, 0.3, 0.25)[:c])
    return ImageSet(images, torch.arange(30) % CLASSES, spec)


def encoded(decoder: Decoder, real: ImageSet) -> tuple[dict[str, Tensor], Tensor]:
    """Return tensors of a decoder, and the images that they were encoded from."""
    views = STORED * decoder.views(real.spec)
    images = (
        real.sample(views, torch.Generator().manual_seed(2))
        if views <= 10
        else torch.randn(CLASSES, views, *real.spec.shape)
    )
    return decoder.encode(images, real), images


@pytest.fixture(params=SHAPES, ids=str)
def real(request: pytest.FixtureRequest) -> ImageSet:
    return real_images(request.param)


def test_every_decoder_of_the_registry_is_tested() -> None:
    assert {type(one) for one in CASES} >= set(DECODERS.values())


@pytest.mark.parametrize("decoder", CASES, ids=str)
def test_shapes(decoder: Decoder, real: ImageSet) -> None:
    tensors, images = encoded(decoder, real)
    assert decoder.decode(tensors, real.spec).shape == images.shape
    one = {name: tensor[1:2] for name, tensor in tensors.items()}
    assert torch.equal(decoder.decode(one, real.spec)[0], decoder.decode(tensors, real.spec)[1])


@pytest.mark.parametrize("decoder", CASES, ids=str)
def test_the_gradient_is_the_adjoint(decoder: Decoder, real: ImageSet) -> None:
    """<D u, v> = <u, D^T v> for the linear part D of the decoder."""
    tensors, images = encoded(decoder, real)
    generator = torch.Generator().manual_seed(3)
    names = decoder.optimised

    def decode(values: dict[str, Tensor]) -> Tensor:
        return decoder.decode({**tensors, **values}, real.spec)

    u = {name: torch.randn(tensors[name].shape, generator=generator, dtype=torch.float64) for name in names}
    v = torch.randn(images.shape, generator=generator, dtype=torch.float64)
    zero = decode({name: torch.zeros_like(u[name]) for name in names})
    leaves = {name: u[name].clone().requires_grad_() for name in names}
    decoded = decode(leaves)
    gradients = torch.autograd.grad((decoded * v).sum(), list(leaves.values()))
    left = ((decoded - zero) * v).sum()
    right = torch.stack([(u[name] * gradient).sum() for name, gradient in zip(names, gradients, strict=True)]).sum()
    assert torch.isclose(left, right, rtol=1e-9, atol=1e-9)
    twice = decode({name: 2 * u[name] for name in names})
    torch.testing.assert_close(twice - zero, 2 * (decode(u) - zero), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("store", ["f32", "f16", "u8"])
@pytest.mark.parametrize("decoder", CASES, ids=str)
def test_a_file_gives_back_the_evaluated_images(decoder: Decoder, store: Store, real: ImageSet, tmp_path: Path) -> None:
    tensors, _ = encoded(decoder, real)
    live = Decoded(decoder, tensors, real.spec, store)
    stored = live.stored()
    labels = live.listed(live.labels())
    made = SyntheticSet(stored.images(labels), labels, real.spec, Provenance(), stored)
    save(made, tmp_path / "synthetic.safetensors")
    back = load_set(tmp_path)
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.labels, made.labels)
    assert back.fingerprint() == made.fingerprint()
    assert isinstance(back.stored, Encoded)
    assert back.stored.decoder == decoder
    exact = live.listed(live().detach())
    assert made.images.shape == exact.shape
    span = float(exact.max() - exact.min())
    assert float((made.images - exact).abs().max()) <= {"f32": 1e-6, "f16": 2e-3, "u8": 0.03}[store] * span
    assert back.header() == made.header()
    assert {name: tensor.dtype for name, tensor in back.tensors().items()} == {
        name: tensor.dtype for name, tensor in made.tensors().items()
    }


@pytest.mark.parametrize("decoder", CASES, ids=str)
def test_stored_bytes_are_those_of_n_images(decoder: Decoder, real: ImageSet) -> None:
    """Views share the bytes of one image; a mask and ranges come on top."""
    tensors, images = encoded(decoder, real)
    stored = Encoded.round_trip(decoder, tensors, real.spec, "u8").tensors()
    numbers = sum(stored[name].nbytes for name in decoder.optimised)
    assert numbers <= CLASSES * STORED * math.prod(real.spec.shape)
    assert images.shape[1] == STORED * decoder.views(real.spec)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_coefficients_are_exact(shape: tuple[int, int, int]) -> None:
    real = real_images(shape)
    decoder = DctDecoder(coefficients=shape[1] * shape[2])
    tensors, images = encoded(decoder, real)
    torch.testing.assert_close(decoder.decode(tensors, real.spec), images, atol=1e-5, rtol=1e-5)


def test_dct_is_orthonormal_and_constant_images_have_one_coefficient() -> None:
    images = torch.randn(2, 3, 7, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spectrum = dct(images)
    assert torch.isclose(spectrum.square().sum(), images.square().sum())
    torch.testing.assert_close(inverse_dct(spectrum), images)
    flat = dct(torch.ones(1, 5, 6, dtype=torch.float64))
    assert torch.isclose(flat[0, 0, 0], torch.tensor(30.0, dtype=torch.float64).sqrt())
    assert float(flat.flatten()[1:].abs().max()) < 1e-12


def test_coefficients_of_largest_variance_are_kept() -> None:
    """Images that differ in one coefficient alone keep this one beside the mean."""
    spectrum = torch.zeros(12, 1, 8, 8)
    spectrum[:, 0, 0, 0] = 4.0
    spectrum[:, 0, 2, 3] = torch.linspace(-1, 1, 12)
    images = (inverse_dct(spectrum) * 255).clamp(0, 255).byte()
    spec = Spec("one", ("a",), (1, 8, 8), (0.5,), (0.5,))
    real = ImageSet(images, torch.zeros(12, dtype=torch.int64), spec)
    tensors = DctDecoder(coefficients=2).encode(real.at(torch.arange(12)[None]), real)
    assert tensors["places"].tolist() == [[0, 2 * 8 + 3]]


def test_tiles_are_views_row_by_row() -> None:
    spec = Spec("tiles", ("a",), (1, 4, 4), (0.0,), (1.0,))
    image = torch.tensor([[0.0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
    views = TileDecoder(factor=2).decode({"images": image[None, None, None]}, spec)
    assert [view.unique().tolist() for view in views[0]] == [[0.0], [1.0], [2.0], [3.0]]


def test_uneven_tiles_are_padded_with_grey() -> None:
    """As in IDC: 0.5 before normalisation."""
    spec = Spec("tiles", ("a",), (1, 3, 3), (0.25,), (0.5,))
    views = TileDecoder(factor=2).decode({"images": torch.zeros(1, 1, 1, 3, 3)}, spec)
    assert float(views[0, 3, 0, -1, -1]) == pytest.approx((0.5 - 0.25) / 0.5)
    assert float(views[0, 0].abs().max()) == 0


def test_impossible_sizes_are_refused(real: ImageSet) -> None:
    with pytest.raises(InputError, match="--coefficients 5000: images of"):
        DctDecoder(coefficients=5000).views(real.spec)
    small = Spec("dot", ("a",), (1, 2, 2), (0.0,), (1.0,))
    with pytest.raises(InputError, match="--factor 3: images of 2 x 2 have fewer pixels"):
        TileDecoder(factor=3).views(small)


def test_equal_variances_keep_the_lowest_frequencies() -> None:
    """Of images that do not vary, the choice is the same on every device."""
    spec = Spec("flat", ("a",), (1, 8, 8), (0.5,), (0.5,))
    real = ImageSet(torch.full((12, 1, 8, 8), 90, dtype=torch.uint8), torch.zeros(12, dtype=torch.int64), spec)
    tensors = DctDecoder(coefficients=6).encode(real.at(torch.arange(2)[None]), real)
    assert tensors["places"].tolist() == [[0, 1, 2, 8, 9, 16]]


def test_small_classes_keep_the_coefficients_of_all_classes() -> None:
    real = real_images((1, 8, 9))
    few = ImageSet(real.images[:25], torch.tensor([0] * 12 + [1] * 12 + [2]), real.spec)
    tensors = DctDecoder(coefficients=9).encode(torch.zeros(3, 8, 1, 8, 9), few)
    variance = dct(few.spec.normalise(few.images)[:, 0]).flatten(1).var(0, correction=0)
    assert set(tensors["places"][2].tolist()) == {0, *variance[1:].topk(8).indices.add(1).tolist()}


def test_a_long_side_is_refused_before_its_transform_is_made() -> None:
    spec = Spec("long", ("a",), (1, 2**20, 1), (0.5,), (0.5,))
    mask = torch.zeros(1, 2**17, dtype=torch.uint8)
    mask[0, 0] = 128
    packed = {"coefficients": torch.zeros(1, 1, 1, 1), "mask": mask}
    stored = Encoded(DctDecoder(coefficients=1), "f32", spec, packed)
    with pytest.raises(InputError, match="its images would take"):
        Encoded.from_tensors(packed, stored.header(), spec)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 9)], ids=str)
def test_a_constant_image_comes_back_from_its_tile(factor: int, shape: tuple[int, int, int]) -> None:
    """Every view has a value of its own, which does not leak into its neighbours; padding may at the far borders."""
    real, decoder = real_images(shape), TileDecoder(factor=factor)
    views = decoder.views(real.spec)
    images = torch.linspace(-1, 1, views)[None, :, None, None, None].expand(CLASSES, views, *shape)
    back = decoder.decode(decoder.encode(images, real), real.spec)
    divided = not (shape[1] % factor or shape[2] % factor)
    inside = slice(None) if divided else slice(0, shape[1] // 2), slice(None) if divided else slice(0, shape[2] // 2)
    torch.testing.assert_close(back[..., inside[0], inside[1]], images[..., inside[0], inside[1]])
