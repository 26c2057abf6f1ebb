"""Accuracy over wall time of the presets `fast/`: their sets as they come about, each tested on validation images.

Condensed on 50 000 training images of FashionMNIST, tested on the 10 000 others by networks trained under DSA's
augmentation; the test images are not read. The sets of all moments stay in memory until the preset ends, so the clock
counts the work of the preset alone, from the choice of the first images on. They are then kept in --sets, and each
tested moment in docs/over-time.json, so that an interrupted measurement goes on. Draws docs/over-time.png.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import held_out
import torch
from figure import draw_over_time
from filelock import FileLock
from torch import Tensor, nn

from datacondense import SyntheticSet, condense, load_set
from datacondense.data.image_set import ImageSet
from datacondense.data.spec import Spec
from datacondense.engine.execution import Workload
from datacondense.evaluation.scoring import evaluate
from datacondense.experiments.presets import PRESETS
from datacondense.methods import Iteration, Method, Problem, with_network
from datacondense.methods.losses import Updates
from datacondense.synthetic.parameters import Synthetic
from datacondense.synthetic.set import save
from datacondense.utils import hardware
from datacondense.utils.files import write_json
from datacondense.utils.streams import Streams

_PREFIX = "fast/fashion-mnist/"
_MEASURED = {  # moments in seconds, networks and epochs of each test
    "1": ((0, 15, 30, 60, 90), 3, 300),
    "1/views": ((0, 15, 30, 60, 90), 1, 300),
    "10": ((0, 30, 60, 120, 200, 280), 1, 300),
    "10/views": ((0, 40, 100, 180, 270), 1, 150),
    "50": ((0, 200, 350, 500, 700), 1, 150),
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
    began, left, found, made = time.perf_counter(), [float(m) for m in _MEASURED[name][0]], [], None
    for given in filter(None, (preset.first, preset.method)):
        method = with_network(given, train.spec)
        watched = Watched(
            iterations=method.iterations,
            arch=method.arch,
            augment=method.augment,
            method=method,
            began=began,
            moments=left,
        )
        made = condense(watched, train, preset.ipc, start=made)
        for seconds, images in watched.kept:
            found.append((seconds, SyntheticSet(images.flatten(0, 1), made.labels, made.spec, made.provenance)))
    assert made is not None
    return [*found, (time.perf_counter() - began, made)]


def kept(folder: Path, train: ImageSet, name: str) -> dict[float, Path]:
    """Files of the sets of a preset by the seconds of each, made if they are not there yet."""
    own = folder / name.replace("/", "-")
    if not own.exists():
        with TemporaryDirectory(dir=folder) as unfinished:
            for seconds, synthetic in moments(train, name):
                save(synthetic, Path(unfinished) / f"{seconds:.1f}.safetensors")
            Path(unfinished).rename(own)
            Path(unfinished).mkdir()  # for the end of the context
    return dict(sorted((float(path.stem), path) for path in own.iterdir()))


def test(path: Path, name: str, sets: dict[float, Path], validation: ImageSet) -> None:
    """Test the sets of a preset that have no point in the file `path` yet, and add their points to it."""
    _, nets, epochs = _MEASURED[name]
    for seconds, file in sets.items():
        if any(point["seconds"] == seconds for point in read(path)["presets"].get(name, {}).get("points", [])):
            continue
        scores = evaluate(load_set(file), validation, nets=nets, epochs=epochs, device="cpu")
        point = {"seconds": seconds, "accuracy": [round(100 * value, 2) for value in scores.accuracy["ConvNet"]]}
        print(name, point, flush=True)
        with FileLock(f"{path}.lock"):
            found = read(path)
            published, _ = PRESETS[f"{_PREFIX}{name}"].published["ConvNet"]
            own = found["presets"].setdefault(name, {"epochs": epochs, "published": published, "points": []})
            own["points"] = sorted([*own["points"], point], key=lambda one: one["seconds"])
            write_json(path, found)


def read(path: Path) -> dict[str, Any]:
    """Return the points measured so far."""
    if path.exists():
        return json.loads(path.read_text())
    return {
        "presets": {},
        "machine": hardware.describe(torch.device("cpu"), 1),
        "versions": hardware.versions(),
    }


def main(names: Sequence[str], sets: Path, out: Path) -> None:
    """Condense first, as the clock counts; then test."""
    train, validation, _ = held_out.fashion_mnist()
    sets.mkdir(parents=True, exist_ok=True)
    files = {name: kept(sets, train, name) for name in names}
    path = out / "over-time.json"
    for name, own in files.items():
        test(path, name, own, validation)
    draw_over_time(read(path)["presets"], out / "over-time.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="accuracy over wall time of the presets fast/")
    parser.add_argument("--presets", nargs="+", default=list(_MEASURED), choices=list(_MEASURED))
    parser.add_argument("--sets", type=Path, default=Path("runs/over-time"), help="folder of the sets of all moments")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    arguments = parser.parse_args()
    main(arguments.presets, arguments.sets, arguments.out)
