import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from datacondense.evaluation.correlation import loss_correlation, spearman
from datacondense.run.records import LogEntry


def test_the_rank_correlation_is_that_of_scipy() -> None:
    generator = np.random.default_rng(0)
    for n, values in ((3, 50), (10, 50), (12, 4)):  # of four values some are equal
        x, y = generator.integers(values, size=(2, n)).tolist()
        assert spearman(x, y) == pytest.approx(np.asarray(spearmanr(x, y))[0])
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))


def test_losses_are_averaged_since_the_snapshot_before() -> None:
    log = [LogEntry(iteration=i, loss=loss, seconds=0.0) for i, loss in enumerate([9, 1, 6, 6, 2, 3], start=1)]
    found = loss_correlation(log, {0: 0.9, 2: 0.1, 4: 0.05, 6: 0.3})  # losses 5, 6 and 2.5
    assert found is not None
    assert (found.value, found.snapshots) == (pytest.approx(-1), 3)
    assert str(found) == "-1.00 over 3 snapshots"
    assert loss_correlation(log, {0: 0.9, 2: 0.1, 4: 0.3}) is None
    assert loss_correlation([], {2: 0.1, 4: 0.2, 6: 0.3}) is None
    assert loss_correlation(log, {2: 0.1, 4: 0.1, 6: 0.1}) is None
