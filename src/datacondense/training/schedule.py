"""The learning rate of each step of a training."""

import math
from typing import Literal, TypeAlias

Schedule: TypeAlias = Literal["step", "cosine", "constant"]


def first_phase(epochs: int) -> int:
    """Return how many of `epochs` have the full learning rate: epochs // 2 + 1 (Zhao, Mopuri & Bilen 2021)."""
    return epochs // 2 + 1


def learning_rate(lr: float, schedule: Schedule, done: int, *, steps: int, full: int, warm_up: int) -> float:
    """Return the learning rate of the step after `done` steps.

    Args:
        lr: The largest learning rate.
        schedule: step: a tenth of it after the first `full` steps; cosine: lr (1 + cos(pi t)) / 2, with t from 0 after
            the warm-up to 1 at the end; constant.
        done: Steps that are done.
        steps: Steps of the whole training.
        full: Steps at the full rate, for step.
        warm_up: First steps, in which the rate rises linearly up to its value by the schedule.
    """
    if schedule == "step" and done >= full:
        lr /= 10
    elif schedule == "cosine":
        lr *= (1 + math.cos(math.pi * min(max(done - warm_up, 0) / max(steps - warm_up, 1), 1))) / 2
    return lr * (done + 1) / warm_up if done < warm_up else lr
