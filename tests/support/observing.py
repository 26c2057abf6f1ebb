"""Observers of runs, and the comparison of sets."""

import signal

import torch

from datacondense import Observer, RunProgress, SyntheticSet


class Losses(Observer):
    """Remembers the loss of each iteration."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def progress(self, progress: RunProgress) -> None:
        self.values.append(progress.loss)

    def message(self, text: str) -> None: ...


class StopAfter(Losses):
    """Asks for a stop, as Ctrl-C does, once so many iterations are done."""

    def __init__(self, iteration: int) -> None:
        super().__init__()
        self.iteration = iteration

    def progress(self, progress: RunProgress) -> None:
        if progress.iteration == self.iteration:
            signal.raise_signal(signal.SIGINT)


def same(one: SyntheticSet, two: SyntheticSet) -> bool:
    return torch.equal(one.images, two.images) and torch.equal(one.labels, two.labels)
