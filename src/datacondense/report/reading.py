"""The files of a run, the only source of a report."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from torch import Tensor

from .. import pictures
from ..evaluation.correlation import LossCorrelation, loss_correlation
from ..evaluation.score_log import from_json, is_score_of, saved_scores
from ..evaluation.scores import BESIDE, ProcessEntry, Scores
from ..formats.accuracies import known_accuracies
from ..formats.local_paths import without_folders
from ..run import snapshots
from ..run.directory import EVALUATION, PROCESS, RUN, RunDirectory
from ..run.log import read_log
from ..synthetic.provenance import Provenance
from ..synthetic.set import SyntheticSet, load_set
from ..utils.errors import DamagedFile, InputError
from ..utils.files import read_json
from ..utils.schema import check
from ..utils.timing import duration
from . import footprint
from .number_text import accuracy

_ENCODED = 1000  # images that are encoded to be counted
CONDENSED, RANDOM, WHOLE = "condensed", "random real images", "whole training set"


@final
@dataclass(frozen=True)
class Run:
    """A run directory. Raises InputError, naming the file, if a file in it is damaged."""

    path: Path
    name: str
    """Name that is unique in the report."""
    synthetic: SyntheticSet

    @staticmethod
    def at(path: Path, name: str) -> "Run":
        """Read a run directory."""
        if not path.is_dir():
            raise InputError(f"{path} is not a run directory: name one that `datacondense condense` has written")
        return Run(path, name, load_set(path))

    @cached_property
    def provenance(self) -> Provenance:
        """The provenance of its set, without the folders of data and plug-ins, as a page may be sent to others."""
        return without_folders(self.synthetic.provenance)

    @cached_property
    def status(self) -> str:
        """complete, or the number of iterations done."""
        return str(RunDirectory(self.path).recorded().get("status", "")) if (self.path / RUN).exists() else ""

    @cached_property
    def log(self) -> list[tuple[int, float, float]]:
        """Iteration, loss and seconds since the start, of each iteration."""
        return [(entry.iteration, entry.loss, entry.seconds) for entry in read_log(self.path)]

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """CONDENSED, RANDOM or WHOLE -> the newest scores on each network, those of one evaluation or of several."""
        found: dict[str, Scores] = {}
        for score in (*self._reproduced(), *saved_scores(self.path)):
            kind = self._kind(score)
            if kind is not None:
                self._check_classes(score)
                found[kind] = _newer(found[kind], score) if kind in found else score
        return found

    @cached_property
    def table(self) -> dict[str, dict[str, Scores]]:
        """Row -> column of the fair table of `evaluate --columns` and `--augments` -> the newest scores."""
        found: dict[str, dict[str, Scores]] = {}
        for score in saved_scores(self.path):
            row = score.trained_on.get("row", "")
            mine = self.synthetic.fingerprint() in score.trained_on.get(BESIDE, ())
            if score.column and row and mine and score.tested_on == "test":
                self._check_classes(score)
                columns = found.setdefault(row, {})
                columns[score.column] = _newer(columns[score.column], score) if score.column in columns else score
        return found

    def _check_classes(self, score: Scores) -> None:
        """Raise DamagedFile for scores of another number of classes than the set has."""
        classes = self.synthetic.spec.classes
        for arch, rows in score.per_class.items():
            if any(len(row) != classes for row in rows):
                raise DamagedFile(
                    f"{self.path} is damaged: its scores of {arch} have {len(rows[0])} classes, but its set has "
                    f"{classes}"
                )

    def _reproduced(self) -> list[Scores]:
        """Return the scores that `reproduce` has written."""
        path = self.path / EVALUATION
        if not path.exists():
            return []
        place = f"{path} is damaged: it is not a score of `evaluate`"
        record = check(read_json(path), dict[str, Any], place)
        return [from_json(record.get("scores"), place)]

    @cached_property
    def process(self) -> list[tuple[int, float, Scores]]:
        """Iteration, seconds since the start, and scores of each snapshot."""
        path = self.path / PROCESS
        took = {iteration: seconds for iteration, _, seconds in self.log}
        place = f"{path} is damaged: it holds no scores of `evaluate --process`"
        records = read_json(path) if path.exists() else []
        entries = check(records, list[ProcessEntry], place)
        found = [(record["iteration"], from_json(record["scores"], place)) for record in records]
        if len({tuple(entry.scores.accuracy) for entry in entries}) > 1:
            raise DamagedFile(f"{place}: its entries have different networks")
        return [(iteration, took.get(iteration, 0.0), scores) for iteration, scores in found]

    @cached_property
    def correlation(self) -> LossCorrelation | None:
        """The rank correlation of loss and accuracy over the snapshots, of their first network."""
        accuracy = {iteration: score.mean(next(iter(score.accuracy))) for iteration, _, score in self.process}
        return loss_correlation(read_log(self.path), accuracy)

    def _kind(self, score: Scores) -> str | None:
        """Return the kind of set trained on; None for another set, or another number of random images."""
        if score.tested_on != "test" or not score.is_plain:
            return None
        if is_score_of(score, self.synthetic):
            return CONDENSED
        method = score.trained_on.get("method")
        of_number = score.trained_on.get("images") == int(self.synthetic.stored_counts.sum())
        if method == "random" and (of_number or self.synthetic.fingerprint() in score.trained_on.get(BESIDE, ())):
            return RANDOM
        return WHOLE if method == "whole set" else None

    @cached_property
    def storage(self) -> footprint.Footprint:
        """Bytes of the set; also of PNG files if it has few images."""
        return footprint.measure(self.synthetic, png=len(self.synthetic) <= _ENCODED)

    @cached_property
    def neighbours(self) -> dict[int, Tensor]:
        """Position in the set -> the nearest real image, uint8 (C, H, W), if known."""
        neighbours = pictures.load_neighbours(self.synthetic, self.path / pictures.NEIGHBOURS_FILE)
        return {} if neighbours is None else dict(zip(neighbours[0].tolist(), neighbours[1], strict=True))

    @cached_property
    def published(self) -> str:
        """The published accuracies of an imported set."""
        known = known_accuracies(self.synthetic)
        return ", ".join(f"{arch} {accuracy(one.values)} ({one.how})" for arch, one in known.items())

    @property
    def condensing_time(self) -> str:
        """The duration of condensing; empty if it is not known."""
        return "" if self.synthetic.seconds is None else duration(self.synthetic.seconds)

    @cached_property
    def has_process(self) -> bool:
        """True if the run has snapshots."""
        return bool(snapshots.paths(self.path))


def _newer(before: Scores, now: Scores) -> Scores:
    """Return the scores of all networks of both; those of `now` win."""
    recipes = {**before.protocol["recipes"], **now.protocol["recipes"]}
    return Scores(
        accuracy={**before.accuracy, **now.accuracy},
        per_class={**before.per_class, **now.per_class},
        confusion={**before.confusion, **now.confusion},
        seconds=before.seconds + now.seconds,
        protocol={**now.protocol, "recipes": recipes},
        trained_on=now.trained_on,
    )
