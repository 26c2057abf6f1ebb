"""Files of sets whose header, tensors and decoder do not fit together: one clear error, nothing large is made."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from synthetic_sets import FORMS, encoded
from torch import Tensor

from datacondense import ImageSet, InputError, Spec, load, load_set
from datacondense.synthetic.decoders import DctDecoder
from datacondense.synthetic.set import FILE_NAME, save
from datacondense.utils.files import read_tensors, write_tensors

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load("digits")[0]


def change(form: str, digits: ImageSet, path: Path, decoder: Any, tensors: Callable[[Tensors], Tensors]) -> None:
    """Write a set of a form with another decoder in its header and other tensors, under a right checksum."""
    save(FORMS[form](digits), path)
    found, header = read_tensors(path)
    header = {**header, "decoder": decoder(header.get("decoder"))}
    write_tensors(path, tensors(found), header)


def config(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda decoder: {**decoder, "config": {**decoder["config"], **fields}}


def same(value: Any) -> Any:
    return value


DECODERS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "unknown": (
        "tiles",
        lambda one: {**one, "name": "wavelets"},
        "its images need the decoder 'wavelets': name the file that defines it with --plugin",
    ),
    "a text": ("tiles", lambda one: "tiles", "field decoder is str, expected object"),
    "empty": ("tiles", lambda one: {}, "its decoder is damaged"),
    "no name": ("tiles", lambda one: {**one, "name": None}, "its decoder is damaged"),
    "a name of another type": ("tiles", lambda one: {**one, "name": ["tiles"]}, "its decoder is damaged"),
    "no config": ("tiles", lambda one: {"name": "tiles", "store": "f32"}, "its decoder is damaged"),
    "config a list": ("tiles", lambda one: {**one, "config": [2]}, "its decoder is damaged"),
    "another store": ("tiles", lambda one: {**one, "store": "f64"}, "its decoder is damaged"),
    "store of another type": ("tiles", lambda one: {**one, "store": 8}, "its decoder is damaged"),
    "store that tensors contradict": ("tiles", lambda one: {**one, "store": "u8"}, "images have dtype float32"),
    "a field too many": ("tiles", lambda one: {**one, "later": 1}, "its decoder is damaged"),
    "factor 0": ("tiles", config(factor=0), "its decoder is damaged"),
    "factor 17": ("tiles", config(factor=17), "its decoder is damaged"),
    "factor beyond the image": ("tiles", config(factor=9), "--factor 9: images of 8 x 8 have fewer pixels"),
    "factor a text": ("tiles", config(factor="2"), "its decoder is damaged"),
    "factor a half": ("tiles", config(factor=1.5), "its decoder is damaged"),
    "factor true": ("tiles", config(factor=True), "its decoder is damaged"),
    "another factor": ("tiles", config(factor=3), "images do not fit labels of shape"),
    "an unknown setting": ("tiles", config(angle=2), "its decoder is damaged"),
    "another decoder": ("tiles", lambda one: {**one, "name": "dct"}, "its decoder is damaged"),
    "pixels for tiles": ("tiles", lambda one: {**one, "name": "pixels", "config": {}}, "images do not fit labels"),
    "no coefficients": ("dct", lambda one: {**one, "config": {}}, "its decoder is damaged"),
    "fewer coefficients": ("dct", config(coefficients=12), "coefficients have shape"),
    "negative coefficients": ("dct", config(coefficients=-13), "its decoder is damaged"),
    "too many coefficients": ("dct", config(coefficients=65), "--coefficients 65: images of 64 pixels"),
    "latents without config": ("latents", lambda one: {"name": "latents", "store": "int8"}, "its generator is damaged"),
    "latents, config a list": ("latents", lambda one: {**one, "config": []}, "its generator is damaged"),
    "latents of another store": ("latents", lambda one: {**one, "store": "f64"}, "its generator is damaged"),
    "unknown generator": ("latents", config(generator="gan"), "unknown generator 'gan'"),
}


@pytest.mark.parametrize("what", DECODERS)
def test_a_decoder_that_lies_is_refused(what: str, digits: ImageSet, tmp_path: Path) -> None:
    form, decoder, message = DECODERS[what]
    change(form, digits, tmp_path / FILE_NAME, decoder, same)
    with pytest.raises(InputError, match=message) as error:
        load_set(tmp_path)
    assert "\n" not in str(error.value)
    assert FILE_NAME in str(error.value)


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


def other(name: str, changed: Callable[[Tensor], Tensor]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: changed(tensors[name])}


def spoilt(value: float) -> Callable[[Tensor], Tensor]:
    """Return a tensor with one other value."""

    def change_one(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[3] = value
        return tensor

    return change_one


TENSORS: dict[str, tuple[str, Callable[[Tensors], Tensors], str]] = {
    "no images": ("tiles", without("images"), "there is no tensor 'images'"),
    "no labels": ("tiles", without("labels"), "there is no tensor 'labels'"),
    "fewer images": ("tiles", other("images", lambda x: x[1:]), "76 images do not fit labels of shape"),
    "no image": ("tiles", other("images", lambda x: x[:0]), "0 images do not fit labels|there is no image"),
    "images of another size": ("tiles", other("images", lambda x: x[..., 1:]), "images have shape"),
    "flat images": ("tiles", other("images", lambda x: x.flatten(1)), "images have shape"),
    "a number for images": ("tiles", other("images", lambda x: x.sum()), "images have shape"),
    "double images": ("tiles", other("images", lambda x: x.double()), "images have dtype float64, expected f32"),
    "nan": ("tiles", other("images", spoilt(torch.nan)), "pixels that are NaN or infinite"),
    "infinite half floats": ("f16", other("images", spoilt(torch.inf)), "pixels that are NaN or infinite"),
    "no range": ("u8", without("images.low"), "the low of its images is not 1 finite numbers"),
    "no step": ("u8", without("images.step"), "the step of its images is not 1 finite numbers"),
    "two steps": ("u8", other("images.step", lambda x: x.repeat(2)), "the step of its images is not 1 finite numbers"),
    "a step of nan": ("u8", other("images.step", lambda x: x / 0 * 0), "the step of its images is not"),
    "steps as doubles": ("u8", other("images.step", lambda x: x.double()), "the step of its images is not"),
    "a step beyond float32": ("u8", other("images.step", lambda x: x * 0 + 3e38), "NaN or infinite"),
    "no mask": ("dct", without("mask"), "there is no tensor 'mask'"),
    "a mask of floats": ("dct", other("mask", lambda x: x.float()), "its mask has shape"),
    "a mask too short": ("dct", other("mask", lambda x: x[:, 1:]), "its mask has shape"),
    "masks of fewer classes": ("dct", other("mask", lambda x: x[1:]), "its mask has shape"),
    "a mask of other coefficients": ("dct", other("mask", torch.zeros_like), "does not name 13 coefficients"),
    "a full mask": ("dct", other("mask", lambda x: x | 255), "does not name 13 coefficients of each class"),
    "no coefficients": ("dct", without("coefficients"), "there is no tensor 'coefficients'"),
    "coefficients of fewer classes": ("dct", other("coefficients", lambda x: x[1:]), "coefficients have shape"),
    "coefficients of another shape": ("dct", other("coefficients", lambda x: x[..., 1:]), "coefficients have shape"),
    "coefficients of fewer views": (
        "dct",
        other("coefficients", lambda x: x.unflatten(0, (10, -1))[:, 1:].flatten(0, 1)),
        "coefficients have shape|do not fit labels",
    ),
    "nan coefficients": ("dct", other("coefficients", spoilt(torch.nan)), "NaN or infinite"),
    "ranges of fewer coefficients": (
        "dct-u8",
        other("coefficients.low", lambda x: x.flatten()[1:]),
        "the low of its coefficients is not",
    ),
    "nan labels": ("soft", other("labels", spoilt(torch.nan)), "labels hold numbers that are NaN or infinite"),
    "infinite half labels": ("f16", other("labels", spoilt(torch.inf)), "labels hold numbers that are NaN"),
    "labels of fewer classes": ("soft", other("labels", lambda x: x[:, 1:]), "10 numbers for each image"),
    "labels for fewer images": ("soft", other("labels", lambda x: x[1:]), "20 images do not fit labels of shape"),
    "double labels": ("soft", other("labels", lambda x: x.double()), "labels have dtype float64"),
    "complex labels": ("soft", other("labels", lambda x: x.to(torch.complex64)), "labels have dtype complex64"),
    "labels too large": ("u8", other("labels", lambda x: x + 1), "labels go from 1 to 10"),
    "no latents": ("latents", without("latents"), "its generator is damaged"),
    "no scale": ("latents", without("scale"), "its generator is damaged"),
}


@pytest.mark.parametrize("what", TENSORS)
def test_tensors_that_do_not_fit_are_refused(what: str, digits: ImageSet, tmp_path: Path) -> None:
    form, tensors, message = TENSORS[what]
    change(form, digits, tmp_path / FILE_NAME, same, tensors)
    with pytest.raises(InputError, match=message) as error:
        load_set(tmp_path)
    assert "\n" not in str(error.value)


def test_bits_beyond_the_last_pixel_are_refused(tmp_path: Path) -> None:
    """25 pixels need 25 of the 32 bits of a mask."""
    spec = Spec("five", ("a", "b"), (1, 5, 5), (0.5,), (0.25,))
    real = ImageSet(torch.randint(0, 256, (16, 1, 5, 5), dtype=torch.uint8), torch.arange(16) % 2, spec)
    save(encoded(DctDecoder(coefficients=3), real, n=1), tmp_path / FILE_NAME)
    tensors, header = read_tensors(tmp_path / FILE_NAME)
    assert tensors["mask"].shape == (2, 4)
    load_set(tmp_path)
    tensors["mask"][:] = torch.tensor([[128, 0, 0, 0b1100_0001]])
    write_tensors(tmp_path / FILE_NAME, tensors, header)
    with pytest.raises(InputError, match="its mask does not name 3 coefficients of each class"):
        load_set(tmp_path)


@pytest.mark.parametrize("form", ["dct", "tiles"])
def test_a_small_file_of_huge_images_is_refused(form: str, tmp_path: Path) -> None:
    """A few kilobytes would decode to many gigabytes."""
    side = 4096
    spec = Spec("huge", ("a",), (1, side, side), (0.5,), (0.25,))
    header: dict[str, Any] = {"format": 2, "spec": spec.to_json(), "provenance": {}}
    if form == "dct":
        mask = torch.zeros(1, side * side // 8, dtype=torch.uint8)
        mask[0, 0] = 128
        tensors = {"coefficients": torch.zeros(10_000, 1, 1).view(1, 10_000, 1, 1), "mask": mask}
        header["decoder"] = {"name": "dct", "config": {"coefficients": 1}, "store": "f32"}
    else:
        tensors = {"images": torch.zeros(20, 1, side, side, dtype=torch.uint8)}
        tensors |= {"images.low": torch.zeros(1), "images.step": torch.ones(1)}
        header["decoder"] = {"name": "tiles", "config": {"factor": 16}, "store": "u8"}
    count = 10_000 if form == "dct" else 20 * 256
    write_tensors(tmp_path / FILE_NAME, {**tensors, "labels": torch.zeros(count, dtype=torch.uint8)}, header)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"its images would take .* GiB of memory"):
        load_set(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22
