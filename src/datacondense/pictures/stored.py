"""The stored images of a set, where its decoder stores images."""

from ..synthetic.set import SyntheticSet
from ..synthetic.stored import Encoded


def stored_images(synthetic: SyntheticSet) -> SyntheticSet | None:
    """Return the images that a set stores, with the class of the training images that they decode to.

    Returns:
        A set with hard labels: `synthetic` itself if it stores its training images; None if it stores no images, but
        coefficients or latents.
    """
    if synthetic.stored is None:
        return synthetic
    if not isinstance(synthetic.stored, Encoded):
        return None
    images = synthetic.stored.decodable().get("images")
    if images is None or images.shape[2:] != synthetic.spec.shape or len(synthetic) % images[..., 0, 0, 0].numel():
        return None
    images = images.flatten(0, 1)
    if len(images) == len(synthetic):
        return synthetic
    return SyntheticSet(images, synthetic.stored_classes.cpu(), synthetic.spec, synthetic.provenance)
