"""The command `show`."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from ... import pictures
from ...data.options import ReadOptions, flag_of
from ...data.spec import Spec
from ...evaluation.score_log import unchanged
from ...report import process
from ...report.run_names import check_named_once, path_names
from ...synthetic.set import SyntheticSet, load_set
from ...utils.errors import InputError, Locked, unknown
from ...utils.ranges import Images
from ..console import print_line
from ..options import check_target
from ..plugin_option import Plugins
from ..reading import real_images
from .report import writing_in

_LISTED = 20  # class names in an error


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw the images of a condensed set by class, beside real images, or over the iterations.

    Several sets are drawn in one picture, with one row per class and set.
    """

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories of `datacondense condense`, or synthetic.safetensors files."""
    classes: tuple[str, ...] = ()
    """Classes to draw, by name or number from 0, in this order; by default all, with --process the first 20."""
    per_class: Images | None = None
    """Images of each class to draw; by default 10, fewer if the picture would be too large, and 1 with --process."""
    real: bool = False
    """Draw the nearest real training image of the same class, by pixels, beside each image."""
    stored: bool = False
    """Draw the stored images of a set that stores several training images in each, as tiles."""
    process: bool = False
    """Draw the images over the iterations, as a strip and as an animated GIF: for a run made with --snapshots."""
    data: str | None = None
    """Source of the real images; by default the data that the set was made from."""
    plugin: Plugins = ()
    reading: ReadOptions = field(default_factory=ReadOptions)
    out: Path | None = None
    """Picture to write, a PNG; by default images.png, chosen.png (of some classes or images), stored.png,
    nearest-real.png, process.png or, of several sets, compared.png beside the first set. The GIF has its name with the
    suffix .gif."""

    def run(self) -> None:
        self._check()
        sets = [load_set(path) for path in self.run_dirs]
        run = self.run_dirs[0]
        folder = run if run.is_dir() else run.parent
        with writing_in(self.out.parent if self.out else folder, [folder]):
            written = self._written(sets, folder)
        for path in written:
            print_line(str(path))

    def _written(self, sets: Sequence[SyntheticSet], folder: Path) -> list[Path]:
        """Draw the picture, into `folder` or to --out. Returns the written files."""
        synthetic, run = sets[0], self.run_dirs[0]
        classes = self._numbers(synthetic.spec) if self.classes else None
        if len(sets) > 1:
            path = self.out or folder / pictures.COMPARED
            named = dict(zip(path_names(self.run_dirs), sets, strict=True))
            pictures.save_rows(named, path, classes=classes, per_class=self.per_class)
            return [path]
        if self.process:
            if classes is None and synthetic.spec.classes > process.CLASSES:
                text = f"the first {process.CLASSES} of {synthetic.spec.classes} classes: choose with --classes"
                warnings.warn(text, stacklevel=1)
            path = self.out or folder / pictures.PROCESS
            return process.save_process(synthetic, folder, path, classes=classes, per_class=self.per_class or 1)
        if self.stored:
            return [self._stored(synthetic, folder)]
        train = None
        if self.real:
            train, _ = real_images([run], sets, data=self.data, reading=self.reading, which="training")
        part = classes is not None or self.per_class is not None
        name = pictures.NEAREST_REAL if self.real else pictures.CHOSEN if part else pictures.FILE_NAME
        path = self.out or folder / name
        pictures.save_grid(synthetic, path, classes=classes, per_class=self.per_class, real=train)
        if train and run.is_dir() and train.fingerprint() == synthetic.provenance.data_sha256:
            # for the report; the run may be another's, to be read only, or being written
            with suppress(OSError, InputError, Locked), unchanged(run, {synthetic.fingerprint()}, wait=0):
                pictures.save_neighbours(synthetic, train, run / pictures.NEIGHBOURS_FILE)
        return [path]

    def _stored(self, synthetic: SyntheticSet, folder: Path) -> Path:
        """Draw the stored images. Returns the written file."""
        stored = pictures.stored_images(synthetic)
        if stored is None:
            raise InputError("--stored: this set stores no images, but what they are decoded from: leave it out")
        path = self.out or folder / pictures.STORED
        classes = self._numbers(synthetic.spec) if self.classes else None
        pictures.save_grid(stored, path, classes=classes, per_class=self.per_class)
        return path

    def _check(self) -> None:
        if not self.run_dirs:
            raise InputError("name a run, before the options: datacondense show RUN")
        kinds = {"--real": self.real, "--stored": self.stored, "--process": self.process}
        flags = [flag for flag, given in kinds.items() if given]
        if len(flags) > 1:
            raise InputError(f"{flags[0]} and {flags[1]} exclude each other: use one")
        if flags and len(self.run_dirs) > 1:
            raise InputError(f"{flags[0]} draws one set, not {len(self.run_dirs)}: name one run")
        check_named_once(self.run_dirs)
        given = ["--data"] if self.data is not None else [flag_of(name) for name in self.reading.non_default()]
        if given and not self.real:
            raise InputError(f"{given[0]}: is for the real images of --real: leave it out")
        if self.process and self.out is not None and self.out.suffix.lower() == ".gif":
            raise InputError(f"--out {self.out}: name the PNG; the GIF gets the same name with .gif")
        check_target("--out", self.out, ".png")

    def _numbers(self, spec: Spec) -> list[int]:
        """Return the chosen classes, by name or else by number, each once."""
        numbers = {str(number): number for number in range(spec.classes)}
        named = {name: number for number, name in reversed(list(enumerate(spec.class_names)))}
        known = {**numbers, **named}
        for name in self.classes:
            if name not in known:
                many = spec.classes > _LISTED
                listed_by = f"datacondense show {self.run_dirs[0]}" if many else ""
                raise unknown("class", name, spec.class_names, listed_by=listed_by)
        return list(dict.fromkeys(known[name] for name in self.classes))
