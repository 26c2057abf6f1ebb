"""A set of augmented views, each to be labelled for itself."""

from dataclasses import replace

from .. import augment
from ..synthetic.decoders import PixelDecoder
from ..synthetic.set import SyntheticSet
from ..synthetic.stored import Encoded
from ..synthetic.views import Viewed
from ..utils.errors import InputError
from ..utils.streams import Streams
from .protocol import protocol_for


def with_views(synthetic: SyntheticSet, each: int, augmentation: str, seed: int) -> SyntheticSet:
    """Return a set of `each` views of every training image of a set, with the label of the image.

    Its recipe makes as many steps of as many images as that of the set: an epoch is `each` times as long, so it has
    fewer of them.

    Args:
        synthetic: The set.
        each: Views of an image.
        augmentation: Strategies of DSA, as `augment.parse` takes them.
        seed: Draws the views.

    Raises:
        InputError: The augmentation changes nothing, or the set has views already.
    """
    strategies = augment.parse(augmentation, synthetic.spec)
    if not strategies:
        raise InputError(f"--views {each}: the set was made without augmentation, so its views would all be alike")
    base = synthetic.stored
    if base is None:
        base = Encoded.round_trip(PixelDecoder(), {"images": synthetic.images.cpu()[None]}, synthetic.spec, "f32")
    if not isinstance(base, Encoded):
        raise InputError(f"--views {each}: the set has views already: label the set that it was made from")
    stored = Viewed.drawn(base, len(synthetic), strategies, each, Streams(seed)("views"))
    labels = synthetic.labels.repeat_interleave(each, 0)
    images = stored.images(synthetic.classes).to(labels.device)
    (recipe,) = protocol_for(synthetic, nets=1).recipes.values()
    recipe = replace(recipe.shortened(1 / each), batch=min(recipe.batch, len(synthetic)))
    return replace(synthetic, images=images, labels=labels, stored=stored, recipe=recipe)
