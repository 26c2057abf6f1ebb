"""A set of augmented views, each to be labelled for itself."""

from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from .. import augment
from ..augment.mix import MixKind
from ..synthetic.decoders import PixelDecoder
from ..synthetic.set import SyntheticSet
from ..synthetic.stored import Encoded
from ..synthetic.views import Viewed
from ..utils.errors import InputError
from ..utils.streams import Streams
from .protocol import protocol_for

_MIXED = {"augment": "none", "lr": 0.04, "schedule": "cosine", "full_rate": None}
"""The recipe of mixed views in place of the published one: what the teacher says of them takes long steps to learn."""


def with_views(synthetic: SyntheticSet, each: int, augmentation: str, seed: int, mix: MixKind = "none") -> SyntheticSet:
    """Return a set of `each` views of every training image of a set, with the label of the image.

    Its recipe makes as many steps of as many images as that of the set: an epoch is `each` times as long, so it has
    fewer of them.

    Args:
        synthetic: The set.
        each: Views of an image.
        augmentation: Strategies of DSA, as `augment.parse` takes them.
        seed: Draws the views.
        mix: What is done to a view and another one, its partner: mixup or cutmix. Labels are mixed alike.

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
    stored = Viewed.drawn(base, len(synthetic), strategies, each, Streams(seed)("views"), mix)
    labels = synthetic.labels.repeat_interleave(each, 0)
    images, own = stored.with_shares(synthetic.classes)
    (recipe,) = protocol_for(synthetic, nets=1).recipes.values()
    recipe = replace(recipe.shortened(1 / each), batch=min(recipe.batch, len(synthetic)))
    if stored.mixing is not None:
        labels = _mixed(labels, own.to(labels.device), stored.mixing.partner.to(labels.device), synthetic.spec.classes)
        recipe = replace(recipe, **_MIXED) if synthetic.recipe is None else replace(recipe, augment="none")
    return replace(synthetic, images=images.to(labels.device), labels=labels, stored=stored, recipe=recipe)


def views_of(synthetic: SyntheticSet) -> tuple[int, str, MixKind] | None:
    """Return number, augmentation and mixing of the views of a set, as `with_views` takes them; None without views."""
    stored = synthetic.stored
    if not isinstance(stored, Viewed):
        return None
    return stored.each, str(stored.augment), "none" if stored.mixing is None else stored.mixing.kind


def _mixed(labels: Tensor, own: Tensor, partner: Tensor, classes: int) -> Tensor:
    """Return soft labels (N, K), mixed by the share (N,) of each image that is its own."""
    rows = labels if labels.is_floating_point() else F.one_hot(labels, classes).float()
    return own[:, None] * rows + (1 - own[:, None]) * rows[partner.long()]
