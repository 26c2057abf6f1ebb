"""A condensed set as a picture: its images class by class, beside the class's name."""

import io
import math
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from .artifact import SyntheticSet
from .files import write_bytes

FILE_NAME = "images.png"
_CELL, _GAP, _MARGIN, _FONT_SIZE = 64, 4, 12, 16  # pixels
_ASPECT = 1.5  # of width to height, aimed at by setting classes side by side


def save_grid(synthetic: SyntheticSet, path: Path, *, per_class: int = 10) -> None:
    """Write the first `per_class` images of every class as PNG, denormalised, enlarged without smoothing.

    Small images are enlarged by a whole factor to about 64 pixels. Where each class has few images, classes stand in
    several columns, to be read downwards.
    """
    spec = synthetic.spec
    groups = [synthetic.images[synthetic.labels == label][:per_class] for label in range(spec.classes)]
    _, h, w = spec.shape
    zoom = max(_CELL // max(h, w), 1)
    font = ImageFont.load_default(_FONT_SIZE)
    names = math.ceil(max(font.getlength(name) for name in spec.class_names)) + _MARGIN
    cell_w, cell_h = w * zoom + _GAP, max(h * zoom, _FONT_SIZE) + _GAP
    block_w = names + cell_w * max(map(len, groups)) + _MARGIN
    columns = max(round(math.sqrt(_ASPECT * spec.classes * cell_h / block_w)), 1)
    rows = math.ceil(spec.classes / columns)
    canvas = Image.new("RGB", (block_w * columns + _MARGIN, cell_h * rows + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for label, (name, images) in enumerate(zip(spec.class_names, groups, strict=True)):
        x, y = _MARGIN + label // rows * block_w, _MARGIN + label % rows * cell_h
        draw.text((x + names - _MARGIN, y + h * zoom / 2), name, fill="black", font=font, anchor="rm")
        for index, pixels in enumerate((spec.denormalise(images) * 255).round().to(torch.uint8)):
            array = pixels.permute(1, 2, 0).cpu().numpy()  # (H, W, C)
            image = Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)
            enlarged = image.resize((w * zoom, h * zoom), Image.Resampling.NEAREST)
            canvas.paste(enlarged, (x + names + index * cell_w, y))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
