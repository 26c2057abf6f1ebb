"""Stored sets: the tensors that a file holds in place of float32 pixels, and the images that they decode to."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, final

import msgspec
import torch
from torch import Tensor

from ..data.spec import Spec
from ..utils.errors import DamagedFile, InputError
from ..utils.limits import affordable
from ..utils.ranges import check_fields
from .decoders import DECODERS, Decoder

Store = Literal["f32", "f16", "u8"]
"""Number format of stored tensors: float32, float16, or 8 bits with a range for each channel or coefficient."""

_LEVELS = 255
_TYPES = {"f32": torch.float32, "f16": torch.float16, "u8": torch.uint8}


class Stored(ABC):
    """Tensors of a set as a file holds them. They are what evaluation sees, after decoding."""

    @abstractmethod
    def images(self, labels: Tensor) -> Tensor:
        """Decode normalised images (N, C, H, W), on the CPU.

        Args:
            labels: Classes of the images (N,).
        """

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors that are stored, by their names in the file."""

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """Return the decoder and the number format as JSON values, with the decoder's name as `name`."""

    @property
    def views(self) -> int:
        """Return the number of training images that are decoded from a stored image."""
        return 1

    @property
    @abstractmethod
    def shared(self) -> frozenset[str]:
        """Return the names of the tensors that do not grow with the number of images: weights, masks, ranges."""


class EncodedFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The header of `Encoded`."""

    name: str
    config: dict[str, Any]
    store: Store


@final
@dataclass(frozen=True)
class Encoded(Stored):
    """Tensors of a decoder in a number format."""

    decoder: Decoder
    store: Store
    spec: Spec
    packed: Mapping[str, Tensor]
    """The tensors in the file, on the CPU."""

    @staticmethod
    def round_trip(decoder: Decoder, tensors: Mapping[str, Tensor], spec: Spec, store: Store) -> "Encoded":
        """Store tensors (K, n, ...) of a decoder in a number format."""
        packed: dict[str, Tensor] = {}
        for name, tensor in decoder.to_file({n: t.detach().cpu() for n, t in tensors.items()}, spec).items():
            axes = decoder.ranges.get(name, ()) if name in decoder.optimised else None
            packed.update({name: tensor} if axes is None else pack(name, tensor, store, axes))
        return Encoded(decoder, store, spec, {name: tensor.contiguous() for name, tensor in packed.items()})

    def decodable(self) -> dict[str, Tensor]:
        """Return the tensors that the decoder takes, float32. Raises InputError for tensors that do not fit."""
        unpacked = dict(self.packed)
        for name in self.decoder.optimised:
            unpacked[name] = unpack(name, unpacked, self.store, self.decoder.ranges.get(name, ()))
        return self.decoder.from_file(unpacked, self.spec)

    def images(self, labels: Tensor) -> Tensor:
        with torch.no_grad():
            return self.decoder.decode(self.decodable(), self.spec).flatten(0, 1).contiguous()

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.packed)

    def header(self) -> dict[str, Any]:
        return {"name": decoder_name(self.decoder), "config": self.decoder.config(), "store": self.store}

    @property
    def views(self) -> int:
        return self.decoder.views(self.spec)

    @property
    def shared(self) -> frozenset[str]:
        return frozenset(self.packed.keys() - set(self.decoder.optimised))

    @staticmethod
    def from_tensors(tensors: Mapping[str, Tensor], header: Any, spec: Spec) -> "Encoded":
        """Return the inverse of `tensors` and `header`.

        Raises InputError for tensors and a header that do not fit together, before anything large is decoded.
        """
        try:
            checked = msgspec.convert(header, EncodedFields)
        except msgspec.ValidationError as error:
            raise DamagedFile(f"its decoder is damaged ({error})") from None
        decoder = make_decoder(checked.name, checked.config)
        packed = {name: tensor for name, tensor in tensors.items() if name != "labels"}
        views, held = decoder.views(spec), sum(tensor.nbytes for tensor in packed.values())
        largest = max((packed[name].numel() for name in decoder.optimised if name in packed), default=0)
        affordable(4 * 4 * largest * views + decoder.memory(spec), "its images", held=held)
        found = Encoded(decoder, checked.store, spec, packed)
        found.decodable()
        return found


def make_decoder(name: str, config: Mapping[str, Any]) -> Decoder:
    """Return a decoder by its name and config, as a file records them.

    Raises InputError for an unknown name, and DamagedFile for a config that does not fit.
    """
    if name not in DECODERS:
        raise InputError(f"its images need the decoder {name!r}: name the file that defines it with --plugin")
    try:
        decoder = DECODERS[name](**config)
        check_fields(decoder)
    except (TypeError, InputError) as error:
        raise DamagedFile(f"its decoder is damaged ({' '.join(str(error).split())[:200]})") from None
    return decoder


def decoder_name(decoder: Decoder) -> str:
    """Return the name in DECODERS. Raises InputError for a decoder that is not there."""
    name = DECODERS.name_of(type(decoder))
    if name is None:
        raise InputError(f"{type(decoder).__name__} is not in DECODERS: add it, so that files can name it")
    return name


def options_of(decoder: type[Decoder]) -> set[str]:
    """Return the names of the fields that a decoder takes."""
    return {field.name for field in fields(decoder)}


def pack(name: str, tensor: Tensor, store: Store, axes: tuple[int, ...]) -> dict[str, Tensor]:
    """Return a float tensor in a number format; 8 bits need `NAME.low` and `NAME.step` beside it.

    Args:
        name: Name of the tensor.
        tensor: float32 (...).
        store: The number format. u8 stores round((x - low) / step), low and step for each position along `axes`.
        axes: Negative axes with a range for each position.
    """
    if store != "u8":
        return {name: tensor.to(_TYPES[store])}
    others = [axis for axis in range(-tensor.dim(), 0) if axis not in axes]
    low, high = tensor.amin(others, keepdim=True), tensor.amax(others, keepdim=True)
    step = ((high - low) / _LEVELS).clamp_min(1e-12)
    values = ((tensor - low) / step).round().clamp(0, _LEVELS).to(torch.uint8)
    return {name: values, f"{name}.low": low.squeeze(others), f"{name}.step": step.squeeze(others)}


def unpack(name: str, tensors: dict[str, Tensor], store: Store, axes: tuple[int, ...]) -> Tensor:
    """Remove a tensor from those of a file and return it as float32. Raises InputError if `pack` did not write it."""
    if name not in tensors:
        raise InputError(f"there is no tensor {name!r}: it holds no synthetic set")
    values = tensors.pop(name)
    if values.dtype != _TYPES[store]:
        raise InputError(f"{name} have dtype {str(values.dtype).removeprefix('torch.')}, expected {store}")
    if store != "u8":
        return values.float()
    shape = [values.shape[axis] if axis in axes else 1 for axis in range(-values.dim(), 0)]
    low, step = (tensors.pop(f"{name}.{part}", torch.zeros(0)) for part in ("low", "step"))
    for part, tensor in (("low", low), ("step", step)):
        if (
            tensor.dtype != torch.float32
            or tensor.numel() != math.prod(shape)
            or not bool(torch.isfinite(tensor).all())
        ):
            raise DamagedFile(f"the {part} of its {name} is not {math.prod(shape)} finite numbers")
    return values.float() * step.view(shape) + low.view(shape)


def packed_labels(labels: Tensor) -> Tensor:
    """Return labels in the smallest number format that holds them exactly.

    Classes become uint8, int16 or int32; labels with a number for each class float16 or float32.
    """
    if labels.dim() == 2:
        half = labels.half()
        return half if torch.equal(half.float(), labels) else labels
    largest = int(labels.max()) if len(labels) else 0
    return labels.to(torch.uint8 if largest < 256 else torch.int16 if largest < 2**15 else torch.int32)


def unpacked_labels(labels: Tensor) -> Tensor:
    """Return the inverse of `packed_labels`: int64 (N,) or float32 (N, K). Raises InputError for another dtype."""
    if labels.dim() == 2 and labels.dtype in (torch.float16, torch.float32):
        return labels.float()
    if labels.dtype in (torch.uint8, torch.int16, torch.int32, torch.int64):
        return labels.long()
    raise InputError(f"labels have dtype {str(labels.dtype).removeprefix('torch.')}, expected classes or numbers")


def rounded_labels(labels: Tensor, store: Store) -> Tensor:
    """Return labels as a set stores them: soft ones as float16, unless all is float32 or they do not fit."""
    if labels.dim() != 2 or store == "f32":
        return labels
    half = labels.half().float()
    return half if bool(torch.isfinite(half).all()) else labels
