"""A condensed set as a picture: one labelled row of images for each class."""

import io
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from .artifact import SyntheticSet
from .files import write_bytes

FILE_NAME = "images.png"
_CELL, _GAP, _MARGIN, _FONT_SIZE = 64, 4, 12, 16


def save_grid(synthetic: SyntheticSet, path: Path, *, per_class: int = 10) -> None:
    """Write the first `per_class` images of every class as PNG, denormalised, enlarged without smoothing."""
    font = ImageFont.load_default(_FONT_SIZE)
    names = synthetic.spec.class_names
    rows = [synthetic.images[synthetic.labels == label][:per_class] for label in range(len(names))]
    _, h, w = synthetic.spec.shape
    zoom = max(_CELL // max(h, w), 1)
    left = _MARGIN * 2 + max(int(font.getlength(name)) for name in names)
    step_x, step_y = w * zoom + _GAP, max(h * zoom, _FONT_SIZE) + _GAP
    size = left + step_x * max(map(len, rows)) + _MARGIN - _GAP, step_y * len(rows) + 2 * _MARGIN - _GAP
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for row, (name, images) in enumerate(zip(names, rows, strict=True)):
        y = _MARGIN + row * step_y
        draw.text((left - _MARGIN, y + h * zoom / 2), name, fill="black", font=font, anchor="rm")
        for column, pixels in enumerate((synthetic.spec.denormalise(images) * 255).round().to(torch.uint8)):
            array = pixels.permute(1, 2, 0).cpu().numpy()
            image = Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)
            enlarged = image.resize((w * zoom, h * zoom), Image.Resampling.NEAREST)
            canvas.paste(enlarged, (left + column * step_x, y))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
