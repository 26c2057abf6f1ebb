"""The scores of DD-Ranking, LRS and ARS, in their intended form: of fractions, which keeps both in [0, 1].

The published code puts percentages into the exponent, where they overflow.
"""

import math
from dataclasses import dataclass
from typing import final

from ..utils.errors import InputError
from ..utils.ranges import Share, check_value

WEIGHT = 0.5
"""Published weight of both terms of either score."""


@final
@dataclass(frozen=True)
class LabelRobustScore:
    """LRS of a set, with the two differences that it is made of. Accuracies are fractions."""

    hard_label_recovery: float
    """HLR = acc(whole real set) - acc(set with hard labels); lower is better."""
    improvement_over_random: float
    """IOR = acc(set, own labels and recipe) - acc(random real images, the same labels and recipe); higher is better."""
    alpha: float
    """alpha = w IOR - (1 - w) HLR, in [-1, 1]."""
    score: float
    """LRS = (e^alpha - e^-1) / (e - e^-1), in [0, 1]."""


@final
@dataclass(frozen=True)
class AugmentationRobustScore:
    """ARS of a set, with the two differences that it is made of. Accuracies are fractions."""

    gain_augmented: float
    """acc(set) - acc(random real images), both trained with augmentation."""
    gain_plain: float
    """acc(set) - acc(random real images), both trained without."""
    beta: float
    """beta = g gain_augmented + (1 - g) gain_plain, in [-1, 1]."""
    score: float
    """ARS = (e^beta - e^-1) / (e - e^-1), in [0, 1]."""


def label_robust_score(
    *, whole: float, hard: float, own: float, random_own: float, weight: Share = WEIGHT
) -> LabelRobustScore:
    """Return the label-robust score of a set (DD-Ranking, Li et al. 2025).

    HLR = whole - hard, IOR = own - random_own, alpha = w IOR - (1 - w) HLR, and
    LRS = (e^alpha - e^-1) / (e - e^-1): 0 for alpha = -1, 1 for alpha = 1, about 0.27 for alpha = 0.

    Args:
        whole: Accuracy of networks that are trained on the whole real set with hard labels, in [0, 1].
        hard: Accuracy of the set with each label replaced by its class.
        own: Accuracy of the set with its own labels and recipe.
        random_own: Accuracy of as many random real images under the same labels and recipe, at their best learning
            rate.
        weight: w, the weight of the improvement over random images.

    Returns:
        The score with its parts.

    Raises:
        InputError: A value is outside [0, 1], for example a percentage.
    """
    _check_fractions(whole=whole, hard=hard, own=own, random_own=random_own)
    check_value("weight", weight, Share)
    recovery, improvement = whole - hard, own - random_own
    alpha = weight * improvement - (1 - weight) * recovery
    return LabelRobustScore(recovery, improvement, alpha, _exponential(alpha))


def augmentation_robust_score(
    *, augmented: float, random_augmented: float, plain: float, random_plain: float, weight: Share = WEIGHT
) -> AugmentationRobustScore:
    """Return the augmentation-robust score of a set (DD-Ranking, Li et al. 2025).

    beta = g (augmented - random_augmented) + (1 - g) (plain - random_plain), and
    ARS = (e^beta - e^-1) / (e - e^-1): 0 for beta = -1, 1 for beta = 1, about 0.27 for beta = 0.

    Args:
        augmented: Accuracy of the set, trained on with augmentation, in [0, 1].
        random_augmented: Accuracy of as many random real images, likewise, at their best learning rate.
        plain: Accuracy of the set, trained on without augmentation.
        random_plain: Accuracy of as many random real images, likewise, at their best learning rate.
        weight: g, the weight of the difference with augmentation.

    Returns:
        The score with its parts.

    Raises:
        InputError: A value is outside [0, 1], for example a percentage.
    """
    _check_fractions(augmented=augmented, random_augmented=random_augmented, plain=plain, random_plain=random_plain)
    check_value("weight", weight, Share)
    gain_augmented, gain_plain = augmented - random_augmented, plain - random_plain
    beta = weight * gain_augmented + (1 - weight) * gain_plain
    return AugmentationRobustScore(gain_augmented, gain_plain, beta, _exponential(beta))


def _check_fractions(**accuracies: float) -> None:
    for name, value in accuracies.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} {value:g} is not a fraction in [0, 1]: divide percentages by 100")


def _exponential(value: float) -> float:
    """Map [-1, 1] to [0, 1]: (e^x - e^-1) / (e - e^-1)."""
    return (math.exp(value) - math.exp(-1)) / (math.e - math.exp(-1))
