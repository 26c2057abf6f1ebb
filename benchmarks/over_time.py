"""Accuracy over wall time of the presets `fast/`: their sets as they come about, each tested on validation images.

Condensed on 50 000 training images of FashionMNIST, tested on the 10 000 others by networks trained under DSA's
augmentation; the test images are not read. The sets of all moments are kept in memory, so the clock counts the work of
the preset alone, from the choice of the first images on. Writes docs/over-time.json and .png.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import held_out
import torch
from figure import draw_over_time
from torch import Tensor, nn

from datacondense import SyntheticSet, condense
from datacondense.data.image_set import ImageSet
from datacondense.data.spec import Spec
from datacondense.engine.execution import Workload
from datacondense.evaluation.evaluator import evaluate
from datacondense.experiments.presets import PRESETS
from datacondense.methods import Iteration, Method, Problem
from datacondense.methods.losses import Updates
from datacondense.synthetic.parameters import Synthetic
from datacondense.utils import hardware
from datacondense.utils.files import write_json
from datacondense.utils.streams import Streams

_PREFIX = "fast/fashion-mnist/"
_EPOCHS = {1: 300, 10: 300, 50: 150}
_NETS = {1: 3, 10: 1, 50: 1}
_MOMENTS = {  # seconds
    1: (0, 15, 30, 45, 60, 80, 110),
    10: (0, 20, 40, 70, 100, 150, 220, 300, 400, 500),
    50: (0, 60, 120, 200, 300, 450, 600, 750),
}


@final
@dataclass(frozen=True, kw_only=True)
class Watched(Method):
    """Another method, of whose images a copy is kept at the first update past each moment, and at the end."""

    method: Method
    began: float
    """On the clock of `time.perf_counter`."""
    moments: list[float]
    """Seconds since then that are still to come; used up."""
    kept: list[tuple[float, Tensor]] = field(default_factory=list)
    """Seconds, and the images (K, M, C, H, W)."""

    def workload(self, each: int) -> Workload:
        return self.method.workload(each)

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        synthetic = self.method.start(problem, streams)
        self._keep(synthetic)
        return synthetic

    def views(self, spec: Spec) -> int:
        return self.method.views(spec)

    def state(self, problem: Problem, streams: Streams) -> nn.Module | None:
        return self.method.state(problem, streams)

    def optimisers(self, synthetic: Synthetic, state: nn.Module | None) -> dict[str, torch.optim.Optimizer]:
        return self.method.optimisers(synthetic, state)

    def rate(self, done: float) -> float:
        return self.method.rate(done)

    def iterate(self, run: Iteration) -> Updates:
        for loss in self.method.iterate(run):
            yield loss
            self._keep(run.synthetic)

    def settings(self) -> dict[str, Any]:
        return self.method.settings()

    def _keep(self, synthetic: Synthetic) -> None:
        seconds = time.perf_counter() - self.began
        if self.moments and seconds >= self.moments[0]:
            self.moments[:] = [moment for moment in self.moments if moment > seconds]
            self.kept.append((seconds, synthetic().detach().clone()))


def moments(train: ImageSet, name: str) -> list[tuple[float, SyntheticSet]]:
    """Seconds since the preset began, and its set then."""
    preset = PRESETS[f"{_PREFIX}{name}"]
    ipc = preset.ipc
    began, left, found, made = time.perf_counter(), [float(m) for m in _MOMENTS[ipc]], [], None
    for method in filter(None, (preset.first, preset.method)):
        watched = Watched(
            iterations=method.iterations,
            arch=method.arch,
            augment=method.augment,
            method=method,
            began=began,
            moments=left,
        )
        made = condense(watched, train, ipc, start=made)
        for seconds, images in watched.kept:
            found.append((seconds, SyntheticSet(images.flatten(0, 1), made.labels, made.spec, made.provenance)))
    assert made is not None
    return [*found, (time.perf_counter() - began, made)]


def main(names: Sequence[str], out: Path) -> None:
    """Condense first, as the clock counts; then test."""
    train, validation, _ = held_out.fashion_mnist()
    sets = {name: moments(train, name) for name in names}
    path = out / "over-time.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"presets": {}}
    found |= {"machine": hardware.describe(torch.device("cpu"), 1), "versions": hardware.versions()}
    for name, kept in sets.items():
        preset = PRESETS[f"{_PREFIX}{name}"]
        published, _ = preset.published["ConvNet"]
        points: list[dict[str, Any]] = []
        found["presets"][name] = {"epochs": _EPOCHS[preset.ipc], "published": published, "points": points}
        for seconds, synthetic in kept:
            options: Any = {"nets": _NETS[preset.ipc], "epochs": _EPOCHS[preset.ipc], "device": "cpu"}
            scores = evaluate(synthetic, validation, **options)
            accuracy = [round(100 * value, 2) for value in scores.accuracy["ConvNet"]]
            points.append({"seconds": round(seconds, 1), "accuracy": accuracy})
            print(name, points[-1], flush=True)
            write_json(path, found)
    draw_over_time(found["presets"], out / "over-time.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="accuracy over wall time of the presets fast/")
    parser.add_argument("--presets", nargs="+", default=["1", "1/views", "10", "50"], help="1, 10, 50, or 1/views")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    arguments = parser.parse_args()
    main(arguments.presets, arguments.out)
