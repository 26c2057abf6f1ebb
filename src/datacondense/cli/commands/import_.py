"""The command `import`; the name of its file ends with _ because `import` is a keyword of Python."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from ...data.options import ReadOptions, flag_of
from ...data.source import DataSource, check_options, known_spec
from ...data.spec import Spec
from ...formats import LabelKind, PixelScale, import_latents, import_sets
from ...formats.label_kinds import DetectedLabels
from ...formats.pixel_scale import DetectedScale, TrainingImages
from ...synthetic.set import load_set
from ...utils.errors import InputError
from ...utils.ranges import Images, Tiles
from ..console import print_line
from ..plugin_option import Plugins
from ..reading import read


@dataclass(frozen=True, kw_only=True)
class Import:
    """Import synthetic sets of other programs as run directories; no code in a file is executed.

    Reads the .pt files of the authors of DC, DSA and DM (several sets become exp0, exp1, ... in DEST), those of
    class-incremental learning, images_best.pt with its labels_best.pt of MTT, TESLA and DATM, IDC's data.pt, an .npz of
    images and labels, a folder with or without labels.csv, and what `export` writes; and with --generator the latents
    of IT-GAN's authors.
    """

    file: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FILE")]]
    """A .pt or .npz file, the directory that MTT wrote, a folder of PNG images, or a Hugging Face dataset directory."""
    dest: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DEST")]]
    """Run directory to write."""
    data: str | None = None
    """Data that the sets were made from: a name in `datacondense list data`, arrays:FILE.npz or folder:PATH. Files of
    `export` record it."""
    plugin: Plugins = ()
    reading: ReadOptions = field(default_factory=ReadOptions)
    pixels: PixelScale = "auto"
    """Scale of the pixels in files of other programs: normalised, unit (0 to 1), bytes (0 to 255), or zca (whitened,
    MTT's default; undone with the training images). auto detects the scale, or stops with an error if it is
    ambiguous."""
    labels: LabelKind = "auto"
    """Kind of labels with a number for each class in files of other programs: hard (the class with the largest),
    probabilities, logits (their softmax becomes the label, as in DATM), or values (as they are). auto detects it."""
    factor: Tiles | None = None
    """Tiles along each side of a stored image, as IDC stores them, each of which becomes a training image. By default
    it is taken from the name of IDC's directory (..._factor2_...); 1 leaves images whole."""
    generator: Path | None = None
    """For a file of latents, one for each image of --data: the weights (.pth) of the BigGAN that they belong to."""
    ipc: Images | None = None
    """Latents of each class to import, the first ones; by default all."""
    overwrite: bool = False
    """Replace an earlier import at DEST."""

    def run(self) -> None:
        source = self._source()
        if self.generator is not None:
            self._reject_for_latents()
            self._import_latents(self.generator, source)
            return
        if self.ipc is not None:
            raise InputError(
                f"--ipc {self.ipc}: applies only to latents: name their generator with --generator, or leave it out"
            )
        spec, real = self._data(source)
        runs = import_sets(
            self.file,
            spec,
            self.dest,
            source=source.to_json() if source else None,
            overwrite=self.overwrite,
            pixels=self.pixels,
            real=real,
            labels=self.labels,
            factor=self.factor,
        )
        self._print_recognised(load_set(runs[0]).provenance.imported)
        images = sum(len(load_set(run)) for run in runs)
        print_line(f"{images} images in {'1 set' if len(runs) == 1 else f'{len(runs)} sets'}: {self.dest}")
        known = load_set(runs[0]).provenance.source
        print_line(f"next: datacondense evaluate {shlex.quote(str(self.dest))}" + ("" if known else " --data DATA"))

    def _source(self) -> DataSource | None:
        """Return the named data, or None. Raises InputError for options of reading that do not apply to these."""
        if not self.data:
            for name in self.reading.non_default():
                raise InputError(f"{flag_of(name)}: is for the images of --data: name them too, or leave it out")
            return None
        source = DataSource(self.data, **self.reading.non_default())
        check_options(source)  # those of a dataset whose files are not read would be recorded, and fail later
        return source

    def _reject_for_latents(self) -> None:
        """Raise InputError for an option that does not apply to latents."""
        for name, value, default in (
            ("pixels", self.pixels, "auto"),
            ("labels", self.labels, "auto"),
            ("factor", self.factor, None),
        ):
            if value != default:
                raise InputError(f"--{name} {value}: does not apply to latents: leave it out")

    def _print_recognised(self, imported: dict[str, Any]) -> None:
        """Print how a file of another program was read, unless a warning reports it."""
        if "pixels" in imported:
            scale = DetectedScale.from_json(imported["pixels"])
            if not scale.deserves_warning(self.pixels):
                print_line(str(scale))
        if "labels" in imported:
            kind = DetectedLabels.from_json(imported["labels"])
            if kind.kind != "logits" or self.labels != "auto":
                print_line(str(kind))
        if "factor" in imported and self.factor is not None:
            print_line(f"each image is cut into {self.factor} x {self.factor} training images")

    def _data(self, source: DataSource | None) -> tuple[Spec | None, TrainingImages]:
        """Return the Spec of the data, and a function that reads the training images when they are needed."""
        if source is None:
            return None, None
        spec = known_spec(source.source)
        if spec is not None:
            return spec, lambda: read(source)[0]
        train, _ = read(source)
        return train.spec, train

    def _import_latents(self, generator: Path, source: DataSource | None) -> None:
        if source is None:
            raise InputError("--generator: name the training images with --data; the latents have their classes")
        train, _ = read(source)
        run = import_latents(
            self.file, generator, train, self.dest, ipc=self.ipc, source=source.to_json(), overwrite=self.overwrite
        )
        print_line(f"{len(load_set(run))} images of latents: {run}")
        print_line(f"next: datacondense evaluate {shlex.quote(str(run))}")
