"""The number of images that fit a number of bytes."""

import torch

from ..data.image_set import ImageSet
from ..methods import Method
from ..synthetic.decoders import Decoder, PixelDecoder
from ..synthetic.stored import Encoded, Store, packed_labels

_FLOAT32 = 4  # bytes of mean and standard deviation, for each channel


def images_within(limit: int, method: Method, real: ImageSet) -> int:
    """Return the most images of each class that a method can store in `limit` bytes; 0 if not one fits.

    Counted as `datacondense storage` counts them: tensors, labels, mean and standard deviation, without the names and
    the provenance in the header.

    Args:
        limit: bytes of the whole set.
        method: the method; its form and number format decide.
        real: the training images.
    """
    spec = real.spec
    decoder: Decoder = getattr(method, "decoder", lambda spec: PixelDecoder())(spec)
    store: Store = method.settings().get("store", "f32")
    first = real.members[:, :1].flatten()
    few = ImageSet(real.images[first], real.labels[first], spec)
    views = decoder.views(spec)
    encoded = decoder.encode(torch.zeros(spec.classes, views, *spec.shape), few)
    stored = Encoded.round_trip(decoder, encoded, spec, store)
    tensors = stored.tensors()
    labels = packed_labels(torch.arange(spec.classes).repeat_interleave(views))
    once = sum(tensors[name].nbytes for name in stored.shared) + 2 * _FLOAT32 * len(spec.mean)
    each = sum(tensor.nbytes for name, tensor in tensors.items() if name not in stored.shared) + labels.nbytes
    return max(limit - once, 0) // each
