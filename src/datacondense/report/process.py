"""The images of a run over its iterations: snapshots side by side, and as an animation."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from ..data.spec import Spec
from ..drawing.layout import arrange, class_captions
from ..pictures import to_png
from ..run import snapshots
from ..synthetic.set import SyntheticSet
from ..utils.atomic import write_bytes
from ..utils.errors import InputError

CLASSES = 20
"""Number of classes drawn by default: an animation of more is large."""
_IN_A_ROW = 20
_ALL, _SHORTEST, _LONGEST, _LAST = 4000, 80, 500, 2000  # milliseconds: all frames, one frame, the last


def save_process(
    synthetic: SyntheticSet, run: Path, path: Path, *, classes: Sequence[int] | None = None, per_class: int = 1
) -> list[Path]:
    """Draw the snapshots in the directory `run`, and last the set itself. Returns the two files that are written.

    `path` is a PNG with a column for each, headed by its iteration, and a row for each image; beside it, under the
    suffix .gif, is an animation that repeats. classes: the classes to draw, by default the first 20; per_class: number
    of images of each. Raises InputError when there are no snapshots, or when they are not of this set.
    """
    spec = synthetic.spec
    chosen = range(min(spec.classes, CLASSES)) if classes is None else classes
    frames = process_frames(synthetic, run, chosen, per_class)
    write_bytes(path, to_png(draw_strip(frames, spec, chosen)))
    names, count = class_captions(spec, chosen), _most(frames)
    titles = [f"iteration {iteration}" for iteration in frames]
    grid = arrange(names, count, spec.shape, in_a_row=_IN_A_ROW, title=max(titles, key=len))
    animation = path.with_suffix(".gif")
    _write_animation(
        animation, [grid.draw([images], title) for images, title in zip(frames.values(), titles, strict=True)]
    )
    return [path, animation]


def process_frames(synthetic: SyntheticSet, run: Path, chosen: Sequence[int], count: int) -> dict[int, list[Tensor]]:
    """Iteration -> the first `count` images, uint8 (n, C, H, W), of each chosen class: of each snapshot and the set.

    Raises InputError when there are no snapshots, or when they are not of this set.
    """
    paths = snapshots.paths(run)
    if not paths:
        raise InputError(f"{run} has no snapshots of its iterations: condense with --snapshots 10")

    def choose(images: Tensor) -> list[Tensor]:
        return [images[synthetic.classes == k][:count].clone() for k in chosen]

    frames = {}
    for path in paths:
        snapshot = snapshots.load(path)
        learned = synthetic.soft and snapshot.labels.shape == synthetic.labels.shape
        same_labels = learned or snapshot.labels.equal(synthetic.labels)
        if snapshot.images.shape != synthetic.images.shape or not same_labels:
            raise InputError(
                f"{path} does not belong to the set in {run}: condense again with --snapshots 10 --overwrite"
            )
        frames[snapshot.iteration] = choose(snapshot.images)
    if synthetic.provenance.iterations_done is None:
        raise InputError(f"the set in {run} has no iteration recorded: it was not made by a run")
    frames[synthetic.provenance.iterations_done] = choose(synthetic.spec.pixels(synthetic.images))
    return dict(sorted(frames.items()))


def draw_strip(frames: Mapping[int, Sequence[Tensor]], spec: Spec, chosen: Sequence[int]) -> Image.Image:
    """Draw the frames of `process_frames` as columns, each headed by its iteration, a row for each image."""
    headings = [str(iteration) for iteration in frames]
    strip = arrange(class_captions(spec, chosen), _most(frames), spec.shape, headings=headings, in_a_row=1)
    return strip.draw(list(frames.values()))


def _most(frames: Mapping[int, Sequence[Tensor]]) -> int:
    """Return the images of the largest class."""
    return max(map(len, next(iter(frames.values()))))


def _write_animation(path: Path, pictures: Sequence[Image.Image]) -> None:
    """Return a GIF. Grey pictures keep every pixel; colours become the nearest of 256, so that no pixel is dithered."""
    frames = [
        picture if picture.mode == "L" else picture.quantize(256, dither=Image.Dither.NONE) for picture in pictures
    ]
    each = min(max(_ALL // len(frames), _SHORTEST), _LONGEST) // 10 * 10  # GIF counts in hundredths of a second
    buffer = io.BytesIO()
    durations = [each] * (len(frames) - 1) + [_LAST]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    write_bytes(path, buffer.getvalue())
