"""LRS and ARS against values computed by hand."""

import math

import pytest

from datacondense import InputError, augmentation_robust_score, label_robust_score


def test_the_label_robust_score_by_hand() -> None:
    """HLR = .9 - .6 = .3, IOR = .7 - .5 = .2, alpha = .1 - .15 = -.05; (e^-.05 - e^-1) / (e - e^-1)."""
    found = label_robust_score(whole=0.9, hard=0.6, own=0.7, random_own=0.5)
    assert found.hard_label_recovery == pytest.approx(0.3)
    assert found.improvement_over_random == pytest.approx(0.2)
    assert found.alpha == pytest.approx(-0.05)
    assert found.score == pytest.approx((0.951229425 - 0.367879441) / (2.718281828 - 0.367879441))
    assert found.score == pytest.approx(0.2481915)
    assert label_robust_score(whole=0.9, hard=0.6, own=0.7, random_own=0.5, weight=1).alpha == pytest.approx(0.2)
    assert label_robust_score(whole=0.9, hard=0.6, own=0.7, random_own=0.5, weight=0).alpha == pytest.approx(-0.3)


def test_the_augmentation_robust_score_by_hand() -> None:
    """beta = (.8 - .5) / 2 + (.6 - .5) / 2 = .2; (e^.2 - e^-1) / (e - e^-1)."""
    found = augmentation_robust_score(augmented=0.8, random_augmented=0.5, plain=0.6, random_plain=0.5)
    assert (found.gain_augmented, found.gain_plain) == (pytest.approx(0.3), pytest.approx(0.1))
    assert found.beta == pytest.approx(0.2)
    assert found.score == pytest.approx((1.221402758 - 0.367879441) / (2.718281828 - 0.367879441))
    assert found.score == pytest.approx(0.3631392)


def test_the_scores_span_the_unit_interval() -> None:
    best = label_robust_score(whole=0, hard=1, own=1, random_own=0)
    worst = label_robust_score(whole=1, hard=0, own=0, random_own=1)
    assert (best.alpha, best.score) == (1, pytest.approx(1))
    assert (worst.alpha, worst.score) == (-1, pytest.approx(0, abs=1e-12))
    best = augmentation_robust_score(augmented=1, random_augmented=0, plain=1, random_plain=0)
    worst = augmentation_robust_score(augmented=0, random_augmented=1, plain=0, random_plain=1)
    assert (best.score, worst.score) == (pytest.approx(1), pytest.approx(0, abs=1e-12))
    even = augmentation_robust_score(augmented=0.5, random_augmented=0.5, plain=0.5, random_plain=0.5)
    assert even.score == pytest.approx((1 - 1 / math.e) / (math.e - 1 / math.e))


@pytest.mark.parametrize("wrong", [70.0, -0.1, float("nan")])
def test_percentages_are_refused(wrong: float) -> None:
    with pytest.raises(InputError, match=r"hard .* is not a fraction in \[0, 1\]: divide percentages by 100"):
        label_robust_score(whole=0.9, hard=wrong, own=0.7, random_own=0.5)
    with pytest.raises(InputError, match=r"plain .* is not a fraction"):
        augmentation_robust_score(augmented=0.9, random_augmented=0.4, plain=wrong, random_plain=0.5)
    with pytest.raises(InputError, match="weight"):
        label_robust_score(whole=0.9, hard=0.5, own=0.7, random_own=0.5, weight=wrong)
