"""What the files of a run say: nothing else goes into a report."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from torch import Tensor

from .. import picture, snapshots, storage
from ..artifact import SyntheticSet, load_set
from ..baselines import BESIDE
from ..errors import DamagedFile, InputError
from ..files import parse_json, read_json, regular
from ..kept_scores import from_json, is_of, kept_scores
from ..rundir import EVALUATION, LOG, PROCESS, RUN, RunDirectory
from ..types import Scores

_ENCODED = 1000  # images that are encoded to be counted
CONDENSED, RANDOM, WHOLE = "condensed", "random real images", "whole training set"


@final
@dataclass(frozen=True)
class Run:
    """A run directory. Raises InputError, naming the file, for what is damaged in it."""

    path: Path
    name: str
    """What tells it apart from the others of the report."""
    synthetic: SyntheticSet

    @staticmethod
    def at(path: Path, name: str) -> "Run":
        """Read a run directory."""
        if not path.is_dir():
            raise InputError(f"{path} is no run directory: name one that `datacondense condense` has written")
        return Run(path, name, load_set(path))

    @property
    def made(self) -> Mapping[str, Any]:
        """The provenance of its set."""
        return self.synthetic.provenance

    @cached_property
    def status(self) -> str:
        """complete, or how far it is."""
        return str(RunDirectory(self.path).recorded().get("status", "")) if (self.path / RUN).exists() else ""

    @cached_property
    def log(self) -> list[tuple[int, float, float]]:
        """Iteration, loss and seconds since the start, of each iteration."""
        path = self.path / LOG
        entries = []
        for number, line in enumerate(regular(path).read_bytes().splitlines() if path.exists() else [], start=1):
            try:
                entry = parse_json(line)
                entries.append((int(entry["iteration"]), float(entry["loss"]), float(entry["seconds"])))
            except (ValueError, KeyError, TypeError) as error:
                raise DamagedFile(f"{path} is damaged: line {number} is no iteration of a run ({error})") from None
        return entries

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """CONDENSED, RANDOM or WHOLE -> the newest scores on each network, those of one evaluation or of several."""
        found: dict[str, Scores] = {}
        for score in (*self._reproduced(), *kept_scores(self.path)):
            kind = self._kind(score)
            if kind is not None:
                found[kind] = _newer(found[kind], score) if kind in found else score
        return found

    def _reproduced(self) -> list[Scores]:
        """What `reproduce` has left."""
        path = self.path / EVALUATION
        if not path.exists():
            return []
        kept = read_json(path)
        try:
            return [from_json(kept["scores"])]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFile(f"{path} is damaged: it is no score of `evaluate` ({error})") from None

    @cached_property
    def process(self) -> list[tuple[int, float, Scores]]:
        """Iteration, seconds since the start, and what networks learn from the images as they were then."""
        path = self.path / PROCESS
        took = {iteration: seconds for iteration, _, seconds in self.log}
        entries = read_json(path) if path.exists() else []
        try:
            found = [(int(entry["iteration"]), from_json(entry["scores"])) for entry in entries]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedFile(f"{path} is damaged: no scores of `evaluate --process` ({error})") from None
        return [(iteration, took.get(iteration, 0.0), scores) for iteration, scores in found]

    def _kind(self, score: Scores) -> str | None:
        """What was trained on; None for another set, or random images of another number."""
        if score.tested_on != "test":
            return None
        if is_of(score, self.synthetic):
            return CONDENSED
        method = score.trained_on.get("method")
        of_number = score.trained_on.get("images") == len(self.synthetic)
        if method == "random" and (of_number or self.synthetic.fingerprint() in score.trained_on.get(BESIDE, ())):
            return RANDOM
        return WHOLE if method == "whole set" else None

    @cached_property
    def storage(self) -> storage.Footprint:
        """What the set takes; as PNG files too if it has few images."""
        return storage.of_set(self.synthetic, png=len(self.synthetic) <= _ENCODED)

    @cached_property
    def neighbours(self) -> dict[int, Tensor]:
        """Position in the set -> the nearest real image, uint8 (C, H, W), where it is known."""
        kept = picture.load_neighbours(self.synthetic, self.path / picture.NEIGHBOURS_FILE)
        return {} if kept is None else dict(zip(kept[0].tolist(), kept[1], strict=True))

    @cached_property
    def has_process(self) -> bool:
        """Whether there are snapshots of how the images came about."""
        return bool(snapshots.paths(self.path))


def _newer(before: Scores, now: Scores) -> Scores:
    """Scores on all networks of both, of `now` where both have one."""
    recipes = {**before.protocol["recipes"], **now.protocol["recipes"]}
    return Scores(
        accuracy={**before.accuracy, **now.accuracy},
        per_class={**before.per_class, **now.per_class},
        confusion={**before.confusion, **now.confusion},
        seconds=before.seconds + now.seconds,
        protocol={**now.protocol, "recipes": recipes},
        trained_on=now.trained_on,
    )
