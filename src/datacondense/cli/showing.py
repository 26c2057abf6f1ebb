"""The command `show`."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from .. import picture
from ..artifact import load_set
from ..errors import InputError, unknown
from ..types import Spec
from .display import say
from .reading import Reading, real_images

_LISTED = 20  # class names in an error


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw a condensed set as a picture: its images class by class, beside real ones, or as they came about."""

    run_dir: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
    """Run directory of `datacondense condense`, or a synthetic.safetensors."""
    classes: tuple[str, ...] = ()
    """Classes to draw, by name or number from 0, in this order; by default all, and of a process the first 20."""
    per_class: int | None = None
    """How many images of each class to draw; by default 10, fewer where the picture would be too large, and 1 of a
    process."""
    real: bool = False
    """Draw beside each image the real training image of its class that is nearest to it, pixel by pixel."""
    process: bool = False
    """Draw how the images came about, as a strip and as an animated GIF: for a run made with --snapshots."""
    data: str | None = None
    """Where the real images come from; by default what the set was made from."""
    reading: Reading = field(default_factory=Reading)
    out: Path | None = None
    """Picture to write, a PNG; by default images.png, nearest-real.png or process.png beside the set. The GIF lies
    beside it under the suffix .gif."""

    def run(self) -> None:
        if self.real and self.process:
            raise InputError("--real and --process exclude each other: take one")
        if self.per_class is not None and self.per_class < 1:
            raise InputError(f"--per-class {self.per_class}: at least 1 image per class is needed")
        if self.out is not None and not self.out.parent.is_dir():
            raise InputError(f"--out {self.out}: there is no directory {self.out.parent}")
        if self.process and self.out is not None and self.out.suffix.lower() == ".gif":
            raise InputError(f"--out {self.out}: name the PNG, the GIF lies beside it")
        synthetic = load_set(self.run_dir)
        folder = self.run_dir if self.run_dir.is_dir() else self.run_dir.parent
        classes = self._numbers(synthetic.spec) if self.classes else None
        if self.process:
            if classes is None and synthetic.spec.classes > picture.PROCESS_CLASSES:
                text = f"the first {picture.PROCESS_CLASSES} of {synthetic.spec.classes} classes: choose by --classes"
                warnings.warn(text, stacklevel=1)
            path = self.out or folder / picture.PROCESS
            written = picture.save_process(synthetic, folder, path, classes=classes, per_class=self.per_class or 1)
        else:
            train = None
            if self.real:
                places = [self.run_dir], [synthetic]
                train, _ = real_images(*places, data=self.data, reading=self.reading, which="training")
            path = self.out or folder / (picture.NEAREST_REAL if self.real else picture.FILE_NAME)
            picture.save_grid(synthetic, path, classes=classes, per_class=self.per_class, real=train)
            written = [path]
        for path in written:
            say(str(path))

    def _numbers(self, spec: Spec) -> list[int]:
        """The classes that were chosen, by name and otherwise by number, each once."""
        numbers = {str(number): number for number in range(spec.classes)}
        named = {name: number for number, name in reversed(list(enumerate(spec.class_names)))}
        known = {**numbers, **named}
        for name in self.classes:
            if name not in known:
                many = spec.classes > _LISTED
                listed_by = f"datacondense show {self.run_dir}" if many else ""
                raise unknown("class", name, spec.class_names, listed_by=listed_by)
        return list(dict.fromkeys(known[name] for name in self.classes))
