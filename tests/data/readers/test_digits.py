import hashlib

import numpy as np

from datacondense.data.source import load


def test_the_digits_are_those_of_scikit_learn_and_their_split_never_changes() -> None:
    train, test = load("digits")
    assert (len(train), len(test)) == (1437, 360)
    assert train.spec.shape == (1, 8, 8)
    assert train.spec.class_names == tuple("0123456789")
    assert not train.spec.flip
    assert test.spec is train.spec
    assert len(train.images.unique()) == 17
    assert train.images.max() == 255
    for part, digest in ((train, "7531db42dd3ff2d2"), (test, "a2fc2790f951761e")):
        content = part.images.numpy().tobytes() + part.labels.numpy().tobytes()
        assert hashlib.sha256(content).hexdigest()[:16] == digest


def test_every_digit_keeps_its_share_in_both_sets() -> None:
    train, test = load("digits")
    share = test.counts / (train.counts + test.counts)
    assert ((share - 0.2).abs() < 0.005).all()


def test_mean_and_std_are_those_of_the_training_images() -> None:
    train, _ = load("digits")
    scaled = train.images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose([*train.spec.mean, *train.spec.std], [scaled.mean(), scaled.std()], rtol=1e-12)
