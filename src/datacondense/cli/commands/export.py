"""The commands `export` and `import`."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from ...data.source import absolute, known_spec
from ...data.spec import Spec
from ...formats import Format, Pixels, export, import_latents, import_sets, runs_in
from ...formats.accuracies import known
from ...formats.pixels import Real, Taken
from ...synthetic.set import load_set
from ...utils.errors import InputError
from ...utils.ranges import Images
from ..display import say
from ..reading import Reading, read


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write condensed sets in a format that others read.

    folder: PNG images, a folder for each class. npz: NumPy arrays. hf: a Hugging Face dataset with its card. pt: the
    authors' layout, all runs in one file; in the other formats several runs become exp0, exp1, ... in DEST.
    """

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories, or synthetic.safetensors files; a directory of runs stands for all of them."""
    dest: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="DEST")]] = None
    """What to write: a directory, or for npz of one run and for pt a file."""
    to: Format
    """Format to write."""
    licence: str = "unknown"
    """Licence in the card of hf, as the hub names it, such as cc-by-4.0."""
    overwrite: bool = False
    """Replace what an earlier export has written to DEST."""

    def run(self) -> None:
        if not self.run_dirs:
            raise InputError(f"name runs and then what to write: datacondense export RUN --to {self.to} DEST")
        *places, dest = (*self.run_dirs, *([] if self.dest is None else [self.dest]))  # DEST may follow --to
        if not places:
            raise InputError(f"name runs and then what to write: datacondense export RUN --to {self.to} DEST")
        runs = [run for place in places for run in runs_in(place)]
        sets = [load_set(run) for run in runs]
        told = self.to in ("hf", "pt")
        scores = [known(one, run if run.is_dir() else run.parent) for one, run in zip(sets, runs, strict=True) if told]
        export(
            sets,
            self.to,
            dest,
            scores=scores or None,
            licence=self.licence,
            overwrite=self.overwrite,
            read_from=runs,
        )
        say(f"{'1 set' if len(sets) == 1 else f'{len(sets)} sets'}: {dest}")


@dataclass(frozen=True, kw_only=True)
class Import:
    """Read synthetic sets of others into run directories; nothing in the file is run.

    Reads the .pt files of the authors of DC, DSA and DM (several sets become exp0, exp1, ... in DEST), those of
    class-incremental learning, MTT's images_best.pt with its labels_best.pt, IDC's data.pt, an .npz of images and
    labels, and what `export` writes; and with --generator the latents of IT-GAN's authors.
    """

    file: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FILE")]]
    """A .pt or .npz file, the directory that MTT wrote, a folder of PNG images, or a Hugging Face dataset directory."""
    dest: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="DEST")]]
    """Run directory to write."""
    data: str | None = None
    """What the sets were made from: a name of `datacondense list data`, arrays:FILE.npz or folder:PATH. What `export`
    writes says it by itself."""
    reading: Reading = field(default_factory=Reading)
    pixels: Pixels = "auto"
    """What the pixels of others' files are: normalised, unit (0 to 1), bytes (0 to 255), or zca (whitened, MTT's
    default), which is undone by the training images. auto finds it out, or refuses where it cannot."""
    generator: Path | None = None
    """For a file of latents, one for each image of --data: the weights (.pth) of the BigGAN that they belong to."""
    ipc: Images | None = None
    """Of latents take the first so many of each class; by default all."""
    overwrite: bool = False
    """Replace what an earlier import has written to DEST."""

    def run(self) -> None:
        source = {"source": self.data, **self.reading.given()} if self.data else None
        if self.generator is not None:
            if self.pixels != "auto":
                raise InputError(f"--pixels {self.pixels}: latents have no pixels: leave it out")
            self._import_latents(self.generator, source)
            return
        if self.ipc is not None:
            raise InputError(f"--ipc {self.ipc}: belongs to latents, whose generator is named by --generator")
        spec, real = self._data(source)
        runs = import_sets(
            self.file,
            spec,
            self.dest,
            source=absolute(**source) if source else None,
            overwrite=self.overwrite,
            pixels=self.pixels,
            real=real,
        )
        taken = load_set(runs[0]).provenance.imported.get("pixels")
        if taken and not (found := Taken.from_json(taken)).worth_a_warning(self.pixels):
            say(str(found))
        images = sum(len(load_set(run)) for run in runs)
        say(f"{images} images in {'1 set' if len(runs) == 1 else f'{len(runs)} sets'}: {self.dest}")
        known = load_set(runs[0]).provenance.source
        say(f"next: datacondense evaluate {shlex.quote(str(self.dest))}" + ("" if known else " --data DATA"))

    def _data(self, source: dict[str, Any] | None) -> tuple[Spec | None, Real]:
        """What the sets were made from: the Spec, and what reads the training images where that is needed."""
        if source is None:
            return None, None
        spec = known_spec(source["source"])
        if spec is not None:
            return spec, lambda: read(source)[0]
        train, _ = read(source)
        return train.spec, train

    def _import_latents(self, generator: Path, source: dict[str, Any] | None) -> None:
        if source is None:
            raise InputError("--generator: name the training images, whose classes the latents have, by --data")
        train, _ = read(source)
        run = import_latents(
            self.file, generator, train, self.dest, ipc=self.ipc, source=absolute(**source), overwrite=self.overwrite
        )
        say(f"{len(load_set(run))} images of latents: {run}")
        say(f"next: datacondense evaluate {shlex.quote(str(run))}")
